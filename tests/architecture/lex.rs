//! Rust source as nested tokens with lines: enough to tell paths from comments, strings, characters and lifetimes.
//!
//! proc-macro2 with line numbers would do it, too, but that feature makes cargo build every derive macro, and all that stands on
//! them, twice: once for the program and once for the tests.

use std::iter::Peekable;
use std::str::Chars;

/// A token and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword; `r#type` is `type`.
    Word(String),
    /// `::`
    Colons,
    /// Any other sign.
    Sign(char),
    /// A number, a text, a character, a lifetime.
    Literal,
    /// What stands between a pair of brackets, with the opening one.
    Group(char, Vec<Token>),
}

impl Token {
    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

/// Reads a whole file.
pub fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { chars: text.chars().peekable(), line: 1 };
    lexer.until(None)
}

impl Lexer<'_> {
    /// Tokens up to the closing bracket, or to the end of the file.
    fn until(&mut self, close: Option<char>) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            let Some(&c) = self.chars.peek() else {
                return close.map_or(Ok(tokens), |c| Err(format!("the file ends before a `{c}`")));
            };
            let line = self.line;
            let kind = match c {
                c if c.is_whitespace() => {
                    self.bump();
                    continue;
                }
                c if c == '_' || c.is_alphabetic() => self.word(),
                c if c.is_ascii_digit() => self.number(),
                '"' => self.text(),
                '\'' => self.quote(),
                '(' | '[' | '{' => {
                    self.bump();
                    let end = if c == '(' {
                        ')'
                    } else if c == '[' {
                        ']'
                    } else {
                        '}'
                    };
                    Kind::Group(c, self.until(Some(end))?)
                }
                ')' | ']' | '}' => {
                    self.bump();
                    return if close == Some(c) {
                        Ok(tokens)
                    } else {
                        Err(format!("line {line}: a `{c}` closes nothing"))
                    };
                }
                _ => {
                    self.bump();
                    match (c, self.chars.peek()) {
                        ('/', Some('/')) => {
                            while self.chars.peek().is_some_and(|c| *c != '\n') {
                                self.bump();
                            }
                            continue;
                        }
                        ('/', Some('*')) => {
                            self.block_comment();
                            continue;
                        }
                        (':', Some(':')) => {
                            self.bump();
                            Kind::Colons
                        }
                        _ => Kind::Sign(c),
                    }
                }
            };
            tokens.push(Token { line, kind });
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.chars.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    /// A word, or the text that a prefix of one or two letters announces: `r"…"`, `br#"…"#`, `b'x'`, `c"…"`.
    fn word(&mut self) -> Kind {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| *c == '_' || c.is_alphanumeric()) {
            word.push(c);
        }
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        match self.chars.peek() {
            Some('"') if raw => self.raw(0),
            Some('"') if matches!(word.as_str(), "b" | "c") => self.text(),
            Some('\'') if word == "b" => self.quote(),
            Some('#') if raw => {
                let mut fences = 0;
                while self.chars.next_if_eq(&'#').is_some() {
                    fences += 1;
                }
                if self.chars.peek() == Some(&'"') { self.raw(fences) } else { self.word() }
            }
            _ => Kind::Word(word),
        }
    }

    fn number(&mut self) -> Kind {
        while self.chars.next_if(|c| *c == '_' || c.is_alphanumeric()).is_some() {}
        Kind::Literal
    }

    /// A text with escapes; the quote is next.
    fn text(&mut self) -> Kind {
        self.bump();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => drop(self.bump()),
                _ => {}
            }
        }
        Kind::Literal
    }

    /// A text without escapes that ends with a quote and so many `#`.
    fn raw(&mut self, fences: usize) -> Kind {
        self.bump();
        while let Some(c) = self.bump() {
            if c == '"' && (0..fences).all(|_| self.chars.next_if_eq(&'#').is_some()) {
                break;
            }
        }
        Kind::Literal
    }

    /// A character or a lifetime: `'a'` and `'\''` end with a quote, `'a` does not.
    fn quote(&mut self) -> Kind {
        self.bump();
        if self.chars.next_if_eq(&'\\').is_some() {
            self.bump();
            while self.bump().is_some_and(|c| c != '\'') {}
            return Kind::Literal;
        }
        let first = self.bump();
        if self.chars.next_if_eq(&'\'').is_none() && first.is_some_and(|c| c == '_' || c.is_alphabetic()) {
            self.number();
        }
        Kind::Literal
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut last = '/';
        while let Some(c) = self.bump() {
            match (last, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    last = c;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
            last = ' ';
        }
    }
}
