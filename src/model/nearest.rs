//! What somebody most likely meant who misspelt a word.

/// The one of `known` that somebody who wrote `word` most likely meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A word much longer than any key is no misspelling, and comparing it would be slow.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    let worth = |candidate: &&str| {
        let distance = strsim::osa_distance(&lower, candidate);
        let limit = lower.chars().count().max(candidate.len()).div_ceil(3).min(4);
        let shared = candidate.len() >= 4 && (lower.starts_with(*candidate) || candidate.starts_with(lower.as_str()));
        (distance <= limit || (shared && lower.len() >= 3)).then_some(distance)
    };
    known.into_iter().filter_map(|c| worth(&c).map(|distance| (distance, c))).min().map(|(_, near)| near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["offsite", "local", "timeout", "stall_timeout", "full"];
        for (word, near) in [
            ("offsiet", Some("offsite")),
            ("Local", Some("local")),
            ("stalltimeout", Some("stall_timeout")),
            ("fulll", Some("full")),
            ("tape", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
