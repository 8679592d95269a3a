//! The fuzz target of the description file, run on a committed corpus and on what proptest makes of it.
//!
//! The corpus is `corpus/description/` and the `cluster.yaml` of every planner case.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads its corpus")]

use std::fs;
use std::path::Path;

use bowline_plan::{SIZE_LIMIT, lint, load, plan, spof, unserved};
use proptest::prelude::*;
use proptest::sample::Index;

mod work;

/// Takes any bytes: no panic, no long computation, and either a cluster that can be planned or problems that say
/// something.
fn description(bytes: &[u8]) {
    match load("cluster.yaml", bytes) {
        Ok(cluster) => {
            let plan = plan(&cluster, 1);
            serde_json::to_string(&plan).unwrap();
            lint(&cluster, &plan);
            spof(&cluster, &plan);
            unserved(&cluster);
            cluster.files();
        }
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 101, "{} problems", problems.len());
            for problem in problems {
                assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
                let line = problem.to_string();
                assert!(!line.contains(['\n', '\r']), "more than one line: {line:?}");
                assert!(!line.contains("bug in bowline"), "{line}");
            }
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let cases =
        fs::read_dir(tests.join("cases")).unwrap().map(|case| case.unwrap().path().join("cluster.yaml"));
    let inputs = fs::read_dir(tests.join("corpus/description")).unwrap().map(|input| input.unwrap().path());
    let mut paths: Vec<_> = cases.chain(inputs).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(corpus.len() > 60, "only {} inputs found", corpus.len());
    corpus
}

/// What may become of a piece of an input.
#[derive(Clone, Debug)]
enum Mutation {
    Remove,
    Repeat(u8),
    /// By bytes that mean something in YAML, or by any.
    Replace(Vec<u8>),
    /// By a piece of another input.
    Splice(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let tokens = [
        "&a ",
        "*a ",
        "<<: ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "? ",
        "|\n",
        ">\n",
        "\"",
        "'",
        "#",
        "!!str ",
        "\n",
        "\t",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "null",
        "0",
        "-1",
        "99999999999999999999",
        "1e999",
        "\u{feff}",
        "\u{85}",
        "\0",
        "ä",
        "10.0.0.11",
        "::",
        "name: ",
        "nodes:\n",
        "mode: virtual-ip",
    ];
    let token = prop::sample::select(tokens.to_vec()).prop_map(|token| token.as_bytes().to_vec());
    prop_oneof![
        Just(Mutation::Remove),
        any::<u8>().prop_map(Mutation::Repeat),
        token.prop_map(Mutation::Replace),
        prop::collection::vec(any::<u8>(), 1..8).prop_map(Mutation::Replace),
        (any::<Index>(), any::<Index>()).prop_map(|(input, piece)| Mutation::Splice(input, piece)),
    ]
}

/// The start of a piece and its length.
fn piece(bytes: &[u8], start: Index, length: usize) -> std::ops::Range<usize> {
    let start = start.index(bytes.len() + 1);
    start..(start + length).min(bytes.len())
}

fn mutated(corpus: &[Vec<u8>], input: Index, mutations: Vec<(Index, usize, Mutation)>) -> Vec<u8> {
    let mut bytes = corpus[input.index(corpus.len())].clone();
    for (start, length, mutation) in mutations {
        let range = piece(&bytes, start, length);
        let replacement = match mutation {
            Mutation::Remove => Vec::new(),
            Mutation::Repeat(times) => bytes[range.clone()].repeat(usize::from(times)),
            Mutation::Replace(token) => token,
            Mutation::Splice(other, start) => {
                let other = &corpus[other.index(corpus.len())];
                other[piece(other, start, 200)].to_vec()
            }
        };
        bytes.splice(range, replacement);
        // Repetitions multiply; long inputs have tests of their own.
        bytes.truncate(100_000);
    }
    bytes
}

#[test]
fn the_corpus() {
    corpus().iter().for_each(|input| description(input));
}

#[test]
fn every_beginning_of_an_input() {
    let corpus = corpus();
    for input in corpus.iter().filter(|input| input.len() < 1_500).step_by(4) {
        (0..input.len()).for_each(|length| description(&input[..length]));
    }
}

#[test]
fn mutations_of_the_corpus() {
    let corpus = corpus();
    let strategy = (any::<Index>(), prop::collection::vec((any::<Index>(), 0..40_usize, mutation()), 1..6));
    proptest!(ProptestConfig { cases: 2_000, ..ProptestConfig::default() }, |((input, mutations) in strategy)| {
        description(&mutated(&corpus, input, mutations));
    });
}

#[test]
fn the_longest_inputs() {
    let fill = |piece: &str| {
        let few = 16 << 10;
        work::assert_linear(piece, few / piece.len(), &mut |count| {
            description(piece.repeat(count).as_bytes());
        });
        piece.repeat(SIZE_LIMIT / piece.len())
    };
    for piece in [
        "a",
        "[",
        "{",
        "- ",
        "a: ",
        "a: 1\n",
        "? ",
        "&a ",
        "*a ",
        "\"",
        "#",
        " ",
        "\n",
        "!",
        "%",
        "[a,",
        "- a\n",
        "x: [",
        "|\n ",
        "- &a b\n- *a\n",
        "\u{e4}",
        "'\n",
        "---\n",
    ] {
        description(fill(piece).as_bytes());
    }
    // A long value in a place where it is looked at.
    let head = "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n";
    for piece in
        ["  - {name: a}\n", "  - {name: cp1, roles: [control-plane], addresses: [10.0.0.11]}\n", "  - name: "]
    {
        description(format!("{head}{}", piece.repeat((SIZE_LIMIT - head.len()) / piece.len())).as_bytes());
    }
}
