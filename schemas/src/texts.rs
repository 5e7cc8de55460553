//! What a name and an e-mail address look like: refused at the door by the API, and by the lanes
//! for whoever comes in another way.

/// Longest name of a user or product, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest e-mail address, in characters: what an SMTP path can carry.
pub const EMAIL_CHARS_MAX: usize = 254;

/// Whether it can be shown as a name: something to see, on one line.
pub fn is_name(text: &str) -> bool {
    let is_shown = !text.trim().is_empty() && !text.contains(char::is_control);
    is_shown && text.chars().count() <= NAME_CHARS_MAX
}

/// Whether it has one `@` with something on both sides. More only the mail's arrival can tell.
pub fn is_email(text: &str) -> bool {
    let has_two_sides = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let is_plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    has_two_sides && is_plain && text.chars().count() <= EMAIL_CHARS_MAX
}
