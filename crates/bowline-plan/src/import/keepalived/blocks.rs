//! keepalived's syntax: a line is words, and what follows in braces belongs to it. `#` and `!` begin comments.

use crate::import::Place;
use crate::problem::Problem;

/// Blocks within blocks; keepalived itself has three.
const DEPTH_LIMIT: usize = 8;

/// A line and what is in its braces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// At least one, unless braces stand alone.
    pub(super) words: Vec<String>,
    pub(super) children: Vec<Self>,
    pub(super) place: Place,
}

impl Block {
    pub(super) fn keyword(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// The first word behind the keyword.
    pub(super) fn argument(&self) -> &str {
        self.words.get(1).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn is(&self, keyword: &str) -> bool {
        self.keyword() == keyword
    }
}

/// Reads a file into its blocks.
///
/// # Errors
/// Braces or quotes that do not match.
pub(super) fn parse(file: &str, lines: &[&str]) -> Result<Vec<Block>, Problem> {
    let mut open: Vec<Block> = Vec::new();
    let mut root: Vec<Block> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let place = Place::new(file, u32::try_from(index.saturating_add(1)).ok());
        let mut words: Vec<String> = Vec::new();
        for token in tokens(line).map_err(|message| place.problem(message, "close the quotes"))? {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => {
                    if open.len() >= DEPTH_LIMIT {
                        return Err(place.problem("too many braces within braces", "close some before"));
                    }
                    // A brace on a line of its own belongs to the line before.
                    let before = open.last_mut().map_or(&mut root, |block| &mut block.children);
                    let is_alone =
                        words.is_empty() && before.last().is_some_and(|block| block.children.is_empty());
                    let block = if is_alone { before.pop() } else { None };
                    let words = core::mem::take(&mut words);
                    let block = block.unwrap_or(Block { words, children: Vec::new(), place: place.clone() });
                    open.push(block);
                }
                Token::Close => {
                    let words = core::mem::take(&mut words);
                    let Some(mut block) = open.pop() else {
                        return Err(place.problem("a closing brace too many", "remove it, or open its block"));
                    };
                    add(&mut block.children, words, &place);
                    open.last_mut().map_or(&mut root, |parent| &mut parent.children).push(block);
                }
            }
        }
        add(open.last_mut().map_or(&mut root, |block| &mut block.children), words, &place);
    }
    match open.last() {
        None => Ok(root),
        Some(block) => {
            let message = format!("the block `{}` is not closed", crate::source::excerpt(block.keyword()));
            Err(block.place.problem(message, "add a closing brace; is the file complete?"))
        }
    }
}

fn add(blocks: &mut Vec<Block>, words: Vec<String>, place: &Place) {
    if !words.is_empty() {
        blocks.push(Block { words, children: Vec::new(), place: place.clone() });
    }
}

enum Token {
    Word(String),
    Open,
    Close,
}

fn tokens(line: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for c in line.chars() {
        match (is_quoted, c) {
            (_, '"') => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            (true, c) => word.get_or_insert_default().push(c),
            (false, '#' | '!') => break,
            // `${NAME}` is one word.
            (false, '{' | '}') if word.as_ref().is_some_and(|word| word.contains('$')) => {
                word.get_or_insert_default().push(c);
            }
            (false, '{' | '}') => {
                tokens.extend(word.take().map(Token::Word));
                tokens.push(if c == '{' { Token::Open } else { Token::Close });
            }
            (false, c) if c.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            (false, c) => word.get_or_insert_default().push(c),
        }
    }
    if is_quoted {
        return Err("quotes that are not closed");
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}
