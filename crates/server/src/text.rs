//! Help with misspelt names.

/// The known name nearest to `name`, if there is any.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Whether `name` looks like a misspelling of `known`.
pub(crate) fn resembles(name: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(name, known) <= 1 + known.len() / 8
}
