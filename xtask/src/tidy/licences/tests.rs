use super::*;

const ALLOWED: [&str; 4] = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"];

#[test]
fn one_of_a_choice_is_enough_and_all_of_a_conjunction_are_needed() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "Unlicense OR MIT",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
        "ISC AND (Apache-2.0 OR OpenSSL)",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(met(good, &ALLOWED), "{good}");
    }
    for bad in
        ["GPL-3.0", "MIT AND OpenSSL", "ISC AND (GPL-2.0 OR OpenSSL)", "MIT WITH Other-exception", "", "(MIT"]
    {
        assert!(!met(bad, &ALLOWED), "{bad}");
    }
}

#[test]
fn the_allow_list_is_read_from_the_file() {
    let deny = "[licenses]\nallow = [\n    \"MIT\",\n    \"ISC\",\n]\n[bans]\ndeny = [\"ring\"]\n";
    assert_eq!(allow_list(deny).unwrap(), ["MIT", "ISC"]);
    assert!(allow_list("[licenses]\n").is_err());
}
