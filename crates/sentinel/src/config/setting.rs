//! What one setting is: its names, what it takes and what it is for.
//!
//! Loading, `check`, the console's settings page and the reference are all made from the table in
//! [`table`](super::table); nothing else may know a setting's name.

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text of a form that its reader checks.
    Text,
    /// A secret: never shown, never read as a number, and also taken from a file.
    Secret,
    /// A list: an array in the file; in the environment separated by commas or line ends.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Number {
        /// The least that is taken.
        min: u64,
        /// The most that is taken.
        max: u64,
        /// What it counts, as a word; empty when the name says so.
        unit: &'static str,
    },
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file, `section.name`.
    pub(crate) name: &'static str,
    /// Its names in the environment; the first is the one that is recommended.
    pub(crate) environment: &'static [&'static str],
    /// What it takes.
    pub(crate) kind: Kind,
    /// What it is when not set, as it would be written.
    pub(crate) default: Option<&'static str>,
    /// What it is for, one sentence.
    pub(crate) help: &'static str,
}

impl Setting {
    /// Whether its value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// What it counts; empty when it is no number or its name says so.
    pub(crate) fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Number { unit, .. } => unit,
            _ => "",
        }
    }

    /// What may be written, for error messages and the reference.
    pub(crate) fn wanted(&self) -> String {
        match self.kind {
            Kind::Text => "text".to_owned(),
            Kind::Secret => {
                "a secret, or the path of a file with it under the same name and _FILE".to_owned()
            }
            Kind::List => "a list, separated by commas or line ends".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Number { min, max, unit: "" } => format!("a whole number from {min} to {max}"),
            Kind::Number { min, max, unit } => format!("a whole number of {unit} from {min} to {max}"),
        }
    }

    /// The name in the environment that is recommended.
    pub(crate) fn environment_name(&self) -> &'static str {
        self.environment.first().copied().unwrap_or(self.name)
    }
}

/// Two settings are the same when their names are.
impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
