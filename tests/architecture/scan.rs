//! Reads Rust source as tokens and finds the paths it names, each with its line and the module it stands in.
//!
//! Tokens, not text: comments and strings do not look like imports, and nesting is known. Not a compiler: a path is followed
//! from `crate`, `self`, `super`, the own library's name or a child module; any other first word is taken for a crate.

use super::lex::{Kind, Token, lex};

/// What one file says about others.
#[derive(Debug, Default)]
pub struct Source {
    /// Every path it names, in order.
    pub paths: Vec<Named>,
    /// Modules it declares without a body.
    pub children: Vec<Child>,
}

/// A path as it stands in a file.
#[derive(Debug)]
pub struct Named {
    /// Where.
    pub line: usize,
    /// Module it stands in, below the crate's root; inline modules included.
    pub module: Vec<String>,
    /// Its segments as written, without generics. `*` for a glob; the first is empty after a leading `::`.
    pub segments: Vec<String>,
    /// In code for tests only.
    pub test: bool,
    /// The name it gets, if a `use` makes it visible to other modules.
    pub exported: Option<String>,
}

/// `mod name;`
#[derive(Debug)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Only for tests.
    pub test: bool,
}

/// Reads `text`, the file of `module`.
pub fn scan(text: &str, module: &[String]) -> Result<Source, String> {
    let mut source = Source::default();
    walk(&lex(text)?, module, false, &mut source);
    Ok(source)
}

fn walk(tokens: &[Token], module: &[String], test: bool, source: &mut Source) {
    // `#[cfg(test)]` reaches to the end of the item behind it.
    let mut item_is_test = false;
    let mut visible = false;
    let mut at = 0;
    while at < tokens.len() {
        let test_here = test || item_is_test;
        match &tokens[at].kind {
            Kind::Group(open, inner) => {
                item_is_test |= *open == '[' && at > 0 && tokens[at - 1].is('#') && is_cfg_test(inner);
                walk(inner, module, test_here, source);
                item_is_test &= *open != '{';
                // The `(crate)` of `pub(crate)` keeps the visibility alive.
                visible &= *open == '(';
            }
            Kind::Word(word) if word == "pub" => visible = true,
            Kind::Word(word) if word == "mod" => {
                at += module_item(&tokens[at..], module, test_here, source);
                (item_is_test, visible) = (false, false);
            }
            Kind::Word(word) if word == "use" => {
                let end = tokens[at..].iter().position(|token| token.is(';')).map_or(tokens.len(), |n| at + n);
                let context =
                    Named { line: 0, module: module.to_vec(), segments: Vec::new(), test: test_here, exported: None };
                use_tree(&tokens[at + 1..end], &context, visible, source);
                (at, visible, item_is_test) = (end, false, false);
            }
            Kind::Word(_) => {
                let (mut segments, used) = path(&tokens[at..]);
                if at > 0 && tokens[at - 1].kind == Kind::Colons {
                    segments.insert(0, String::new());
                }
                if segments.len() > 1 {
                    let (line, module) = (tokens[at].line, module.to_vec());
                    source.paths.push(Named { line, module, segments, test: test_here, exported: None });
                }
                (at, visible) = (at + used - 1, false);
            }
            Kind::Sign(sign) => {
                item_is_test &= *sign != ';';
                visible = false;
            }
            Kind::Colons | Kind::Literal => visible = false,
        }
        at += 1;
    }
}

/// Reads `mod name;` or `mod name { … }` and says how many tokens behind `mod` it took.
fn module_item(tokens: &[Token], module: &[String], test: bool, source: &mut Source) -> usize {
    let (Some(name), Some(body)) = (tokens.get(1).and_then(Token::word), tokens.get(2)) else { return 0 };
    if let Kind::Group('{', inner) = &body.kind {
        let module: Vec<String> = module.iter().cloned().chain([name.to_owned()]).collect();
        walk(inner, &module, test, source);
    } else if body.is(';') {
        source.children.push(Child { name: name.to_owned(), test });
    }
    2
}

/// Reads a path: its segments and the tokens it took, at least one.
fn path(tokens: &[Token]) -> (Vec<String>, usize) {
    let mut segments = Vec::new();
    let mut at = 0;
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        segments.push(word.to_owned());
        at += 1;
        if tokens.get(at).is_none_or(|token| token.kind != Kind::Colons)
            || tokens.get(at + 1).and_then(Token::word).is_none()
        {
            break;
        }
        at += 1;
    }
    (segments, at)
}

/// Reads the tree of a `use`; `context` has the segments before it.
fn use_tree(tokens: &[Token], context: &Named, visible: bool, source: &mut Source) {
    for branch in tokens.split(|token| token.is(',')) {
        let Some(first) = branch.first() else { continue };
        let (module, mut segments) = (context.module.clone(), context.segments.clone());
        let mut alias = None;
        let mut tree = None;
        let mut tokens = branch.iter();
        while let Some(token) = tokens.next() {
            match &token.kind {
                Kind::Word(word) if word == "as" => alias = tokens.next().and_then(Token::word).map(str::to_owned),
                Kind::Word(word) if word == "self" && !segments.is_empty() => {}
                Kind::Word(word) => segments.push(word.clone()),
                Kind::Sign('*') => segments.push("*".into()),
                Kind::Colons if segments.is_empty() => segments.push(String::new()),
                Kind::Group(_, inner) => tree = Some(inner),
                _ => {}
            }
        }
        let exported = alias.or_else(|| segments.last().cloned()).filter(|_| visible);
        let named = Named { line: first.line, module, segments, test: context.test, exported };
        match tree {
            Some(tree) => use_tree(tree, &named, visible, source),
            None => source.paths.push(named),
        }
    }
}

/// `cfg(test)`, `cfg(all(test, …))`
fn is_cfg_test(attribute: &[Token]) -> bool {
    let [cfg, Token { kind: Kind::Group('(', what), .. }] = attribute else { return false };
    let first = what.first().and_then(Token::word);
    cfg.word() == Some("cfg")
        && match &what[..] {
            [_] => first == Some("test"),
            [_, Token { kind: Kind::Group('(', all), .. }] => {
                first == Some("all") && all.iter().any(|token| token.word() == Some("test"))
            }
            _ => false,
        }
}
