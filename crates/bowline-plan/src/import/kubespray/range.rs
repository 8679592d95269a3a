//! Host patterns: `db[01:10]`, `rack[a:c]-node[1:9:2]`, `host:2222`.

/// Hosts of one inventory; Kubernetes itself is tested up to 5,000 nodes.
pub(super) const HOSTS_LIMIT: usize = 40_000;

/// The names a pattern stands for, in order.
///
/// # Errors
/// What is wrong with the range.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let pattern = without_port(pattern);
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((head, range, tail)) = next_range(rest) {
        let parts = parts(range).map_err(|what| format!("the range [{range}] {what}"))?;
        if names.len().saturating_mul(parts.len()) > HOSTS_LIMIT {
            return Err(format!("the pattern stands for more than {HOSTS_LIMIT} hosts"));
        }
        names = names
            .iter()
            .flat_map(|name| parts.iter().map(move |part| format!("{name}{head}{part}")))
            .collect();
        rest = tail;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// `head[range]tail`, for the first brackets with a colon in them that are no IPv6 address.
fn next_range(text: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = text.split_once('[')?;
    let (range, tail) = rest.split_once(']')?;
    let is_address = core::str::FromStr::from_str(range).is_ok_and(|_: core::net::Ipv6Addr| true);
    (range.contains(':') && !is_address).then_some((head, range, tail))
}

/// Ansible takes what is behind the last colon for a port when the rest is no IPv6 address.
fn without_port(pattern: &str) -> &str {
    let Some((name, port)) = pattern.rsplit_once(':') else { return pattern };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // A colon outside of brackets and no other one before it.
    let outside = name.rsplit_once(']').map_or(name, |(_, behind)| behind);
    if is_port && !outside.contains([':', '[']) {
        return name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    }
    pattern
}

fn parts(range: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = range.split(':');
    let (first, last, step) = (fields.next().unwrap_or_default(), fields.next(), fields.next());
    let Some(last) = last.filter(|last| !last.is_empty()) else { return Err("has no end") };
    if fields.next().is_some() {
        return Err("has more than begin, end and step");
    }
    let step = match step.map(str::parse::<usize>) {
        None => 1,
        Some(Ok(step)) if step > 0 => step,
        Some(Ok(_) | Err(_)) => return Err("has a step that is no positive number"),
    };
    let first = if first.is_empty() { "0" } else { first };
    if let (Some(first), Some(last)) = (letter(first), letter(last)) {
        if first > last {
            return Err("ends before it begins");
        }
        let letters = ('a'..='z').chain('A'..='Z').map(String::from);
        let count = last.saturating_sub(first).saturating_add(1);
        return Ok(letters.skip(first).take(count).step_by(step).collect());
    }
    let (Ok(from), Ok(to)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Err("is neither of numbers nor of single letters");
    };
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err("has a begin with leading zeros and an end of another length");
    }
    if from > to {
        return Err("ends before it begins");
    }
    if to.saturating_sub(from) / step >= HOSTS_LIMIT {
        return Err("stands for too many hosts");
    }
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// The position of a single letter in Ansible's order: lower case, then upper case.
fn letter(text: &str) -> Option<usize> {
    let mut characters = text.chars();
    let (c, None) = (characters.next()?, characters.next()) else { return None };
    ('a'..='z').chain('A'..='Z').position(|letter| letter == c)
}
