//! Configuration: flag before variable before file. Every long flag has a variable `JUPAN_<FLAG>`
//! and a key of the same name in `jupan.toml` (or the file that `JUPAN_CONFIG` names); a key that
//! no command knows is refused.

use crate::cli::Call;
use clap::{Command, CommandFactory, Error, FromArgMatches, error::ErrorKind};
use std::ffi::OsString;

/// The file read when `JUPAN_CONFIG` names none.
const DEFAULT_FILE: &str = "jupan.toml";

/// Reads the command line over variables over the file.
///
/// # Errors
/// Clap's own error, also for `--help` and `--version`, which it prints.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Call, Error> {
    let file = match std::env::var_os("JUPAN_CONFIG") {
        Some(path) => Some(read(path.as_ref())?),
        None => match std::path::Path::new(DEFAULT_FILE) {
            path if path.exists() => Some(read(path)?),
            _ => None,
        },
    };
    parse_with(args, file.as_ref())
}

fn read(path: &std::path::Path) -> Result<toml::Table, Error> {
    let wrong = |cause: String| {
        Call::command().error(ErrorKind::Io, format!("{} cannot be used: {cause}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))
}

fn parse_with(
    args: impl IntoIterator<Item = OsString>,
    file: Option<&toml::Table>,
) -> Result<Call, Error> {
    let mut command = Call::command();
    if let Some(file) = file {
        command = with_defaults(command, file)?;
    }
    Call::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// Makes a file's values the defaults of the flags of the same name, in every command that has one.
fn with_defaults(mut command: Command, file: &toml::Table) -> Result<Command, Error> {
    for (key, value) in file {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Table(_) | toml::Value::Array(_) => {
                let wrong = format!("configuration key `{key}` must be a single value");
                return Err(command.error(ErrorKind::InvalidValue, wrong));
            }
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(on) => on.to_string(),
            toml::Value::Datetime(time) => time.to_string(),
        };
        let (changed, found) = set_default(command, key, &text);
        command = changed;
        if !found {
            let wrong = format!("configuration key `{key}` is no flag of any command");
            return Err(command.error(ErrorKind::UnknownArgument, wrong));
        }
    }
    Ok(command)
}

fn set_default(mut command: Command, key: &str, value: &str) -> (Command, bool) {
    let id = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(key))
        .map(|arg| arg.get_id().clone());
    let mut found = id.is_some();
    if let Some(id) = id {
        let value = value.to_owned();
        command = command.mut_arg(id, |arg| arg.default_value(value).required(false));
    }
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            let (sub, sub_found) = set_default(sub, key, value);
            found |= sub_found;
            sub
        });
    }
    (command, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Action;

    fn check(args: &[&str], file: &str) -> Result<Call, String> {
        let file: toml::Table = file.parse().expect("test files are TOML");
        let args = args.iter().map(OsString::from);
        parse_with(args, Some(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let call = check(&["jupan"], "listen = '127.0.0.1:9'\nsales-days = 120").expect("valid");
        assert_eq!(call.shop.http.listen.to_string(), "127.0.0.1:9");
        assert_eq!(call.shop.sales.sales_days, 120);
        let call = check(&["jupan", "--sales-days", "40"], "sales-days = 120").expect("valid");
        assert_eq!(call.shop.sales.sales_days, 40);
    }

    #[test]
    fn a_file_reaches_every_command_that_has_the_flag() {
        let call = check(&["jupan", "verify"], "data = 'elsewhere'").expect("valid");
        let Some(Action::Verify(options)) = call.action else { panic!("not verify") };
        assert_eq!(options.data.to_string_lossy(), "elsewhere");
    }

    #[test]
    fn a_switch_can_be_set_in_the_file() {
        for (file, expected) in [("demo = true", true), ("demo = false", false), ("", false)] {
            assert_eq!(check(&["jupan"], file).expect("valid").shop.demo, expected, "{file}");
        }
        assert!(check(&["jupan", "--demo"], "demo = false").expect("valid").shop.demo);
    }

    #[test]
    fn what_no_command_knows_is_refused() {
        for (file, word) in [("lsten = 'x'", "lsten"), ("listen = [1]", "single value")] {
            let wrong = check(&["jupan"], file).expect_err("must be refused");
            assert!(wrong.contains(word), "{wrong}");
        }
    }
}
