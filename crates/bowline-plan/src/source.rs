//! A description file as a tree of values that know where they stand.
//!
//! The file is read in two passes, so that everything wrong with it is reported at once. A deserializer stops at the
//! first value that does not fit its type; here the parser's events first become a generic tree ([`yaml`]), which is then
//! held against the JSON Schema of the description ([`shape`], [`decode`]), collecting every unknown field, missing field
//! and misfit with its place. Only a tree without problems goes on to serde, as JSON. The schema is the field table, and
//! it is generated from the very types that serde fills, so the three cannot drift apart, and what an editor underlines
//! with the published schema is what `check` refuses.

mod tree;

pub(crate) use tree::{Path, Source};
