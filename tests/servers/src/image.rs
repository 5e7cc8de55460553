//! What the servers are started from.

use std::env;

/// The public image of each variable, where that is not set.
const PUBLIC: &str = include_str!("../settings/images.env");

/// An image, by its name and tag.
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) tag: String,
}

impl Image {
    /// The one that the variable names, else the public one.
    pub(crate) fn of(variable: &str) -> Self {
        match env::var(variable) {
            Ok(named) if !named.is_empty() => Self::parse(&named),
            _ => Self::parse(public(variable)),
        }
    }

    fn parse(named: &str) -> Self {
        match named.rsplit_once(':') {
            // A colon before a slash belongs to the host's port.
            Some((name, tag)) if !tag.contains('/') => {
                Self { name: name.to_owned(), tag: tag.to_owned() }
            }
            _ => Self { name: named.to_owned(), tag: "latest".to_owned() },
        }
    }
}

/// The public image of a variable.
fn public(variable: &str) -> &'static str {
    let is_its = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name == variable);
    let line = PUBLIC.lines().find(is_its).expect("every variable has its public image");
    line.split_once('=').map_or(line, |(_, named)| named)
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::Image;

    #[test]
    fn names_and_tags_are_told_apart() {
        let rows = [
            ("apache/kafka:4.3.1", "apache/kafka", "4.3.1"),
            ("apache/kafka", "apache/kafka", "latest"),
            ("localhost:5000/kafka", "localhost:5000/kafka", "latest"),
            ("localhost:5000/kafka:4", "localhost:5000/kafka", "4"),
        ];
        for (named, name, tag) in rows {
            let image = Image::parse(named);
            assert_eq!((image.name.as_str(), image.tag.as_str()), (name, tag), "{named}");
        }
    }
}
