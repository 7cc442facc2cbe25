//! Near matches for names that are not known.

/// The names of `known` nearest to `name`, best first; empty when none is near.
///
/// Counts typing errors (Damerau-Levenshtein, case ignored): at most a third of the letters, and
/// at least one, may differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().map(|(_, candidate)| candidate).take(3).collect()
}

/// `did you mean …?`, or nothing when no known name is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    match nearest(name, known).as_slice() {
        [] => None,
        [one] => Some(format!("did you mean `{one}`?")),
        several => Some(format!("did you mean one of `{}`?", several.join("`, `"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_near_name_and_only_it() {
        assert_eq!(nearest("corect_orbit", ["correct_orbit", "measure_tune"]), ["correct_orbit"]);
        assert_eq!(nearest("BMP", ["BPM", "HCOR", "QF"]), ["BPM"]);
        assert!(nearest("zebra", ["BPM", "HCOR"]).is_empty());
    }
}
