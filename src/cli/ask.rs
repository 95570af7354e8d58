//! Questions before something is destroyed.

use std::io::{IsTerminal, Write};

use crate::error::{Error, Kind, Result, from_io};

/// Asks for a yes. With `yes` (the `--yes` of a verb) nobody is asked.
///
/// # Errors
/// There is no terminal to ask on, or the answer is no.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Error::new(Kind::Usage, format!("cannot ask without a terminal: {question}"))
            .hint("pass --yes to go on without being asked"));
    }
    let mut answer = String::new();
    write!(stderr, "{question} [y/N] ")
        .and_then(|()| stderr.flush())
        .and_then(|()| stdin.read_line(&mut answer))
        .map_err(|e| from_io("cannot ask", e))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::failed("the answer was not yes; nothing was changed")),
    }
}
