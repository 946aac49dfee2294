//! Lists of functions as text: `# ` begins a group and gives its title, names follow, white space between them.
//!
//! A `*` at the end of a name stands for any rest. A name with a dot is one within a schema.

/// The groups of a list, each with its title and its names, in their order.
pub fn groups(list: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    list.split("# ").filter_map(|group| {
        let (title, names) = group.split_once('\n')?;
        Some((title, names.split_whitespace().collect()))
    })
}

/// What the names of a list are tested for: lower case, in order within each group, each once.
#[cfg(test)]
pub fn assert_tidy(list: &'static str) {
    let mut all = std::collections::HashSet::new();
    for (title, names) in groups(list) {
        assert!(!names.is_empty() && !title.trim().is_empty(), "an empty group: {title}");
        assert!(names.is_sorted(), "not sorted: {title}");
        for name in names {
            assert_eq!(name, name.to_ascii_lowercase(), "not lower case");
            assert!(all.insert(name), "twice: {name}");
        }
    }
}
