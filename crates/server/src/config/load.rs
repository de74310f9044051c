//! Lays a file and the environment over the defaults, strictly.
//!
//! Wrong keys and wrong values are reported together, each with where it stands, what it
//! says and what would be right. Values of secret keys are not repeated.
//! Types are checked before ranges, and the first value of a wrong type hides later ones.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::IntoDeserializer;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Config, DEFAULTS};
use crate::text::{nearest, resembles};

/// Prefix of environment variables.
const PREFIX: &str = "CROSSPOINT_";

/// Keys whose values are not repeated in errors.
const SECRET_KEYS: [&str; 3] = ["keys", "media.ice_credential", "recording.target_options"];

/// What is wrong with the settings: one line for each finding.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Settings, and what is worth a remark about them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Remarks, e.g. about environment variables that nothing here reads.
    pub remarks: Vec<String>,
}

/// Loads settings from a file, if one is given, and the process's environment.
///
/// # Errors
/// All that is wrong with them.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let text = match file {
        Some(path) => Some((
            path.display().to_string(),
            std::fs::read_to_string(path)
                .map_err(|e| ConfigError(vec![format!("{}: {e}", path.display())]))?,
        )),
        None => None,
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_from(
        text.as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str())),
        variables,
    )
}

/// As [`load`], from a file's name and text and from given variables.
///
/// # Errors
/// All that is wrong with them.
pub fn load_from(
    file: Option<(&str, &str)>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::defaults()?;
    if let Some((name, text)) = file {
        layers.lay_file(name, text);
    }
    for (name, value) in variables {
        layers.lay_variable(&name, &value);
    }
    layers.finish()
}

impl Default for Config {
    /// What `config/crosspoint.toml` says.
    #[expect(
        clippy::expect_used,
        reason = "the text is compiled in, and a test loads it"
    )]
    fn default() -> Self {
        load_from(None, []).expect("the defaults are valid").config
    }
}

struct Layers {
    values: Table,
    /// Where each overridden key stands, for errors.
    origins: BTreeMap<String, String>,
    findings: Vec<String>,
    remarks: Vec<String>,
}

impl Layers {
    fn defaults() -> Result<Self, ConfigError> {
        Ok(Self {
            values: DEFAULTS
                .parse()
                .map_err(|e: toml::de::Error| ConfigError(vec![e.to_string()]))?,
            origins: BTreeMap::new(),
            findings: Vec::new(),
            remarks: Vec::new(),
        })
    }

    fn lay_file(&mut self, name: &str, text: &str) {
        let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
            (Ok(spans), Ok(values)) => (spans.into_inner(), values),
            (Err(e), _) | (_, Err(e)) => {
                let line = e.span().map_or(0, |span| line_of(text, span.start));
                self.findings
                    .push(format!("{name}:{line}: {}", e.message()));
                return;
            }
        };
        for (path, value, at) in leaves(&spans, &values) {
            let origin = format!("{name}:{}", line_of(text, at));
            self.lay(&path, value, origin);
        }
    }

    fn lay(&mut self, path: &str, value: Value, origin: String) {
        match slot(&mut self.values, path) {
            Some(slot) if !slot.is_table() => {
                *slot = value;
                self.origins.insert(path.to_owned(), origin);
            }
            _ => {
                let known = self.known();
                let hint = nearest(path, known.iter().map(String::as_str)).unwrap_or_default();
                self.findings.push(format!(
                    "{origin}: there is no key \"{path}\"; did you mean \"{hint}\"?"
                ));
            }
        }
    }

    /// An environment variable with our prefix is one of ours, a misspelt one of ours (an error),
    /// or something else's: container platforms and test harnesses make such names too.
    fn lay_variable(&mut self, name: &str, text: &str) {
        if !name.starts_with(PREFIX) {
            return;
        }
        let known = self.known();
        if let Some(path) = known.iter().find(|path| variable_of(path) == name) {
            let Some(slot) = slot(&mut self.values, path) else {
                return;
            };
            // What a variable says is read as the type that the key has.
            *slot = match slot {
                Value::Integer(_) => text.parse().map_or(Value::from(text), Value::Integer),
                Value::Boolean(_) => text.parse().map_or(Value::from(text), Value::Boolean),
                Value::Array(_) => {
                    let items = text.split(',').map(str::trim);
                    let items = items.filter(|item| !item.is_empty());
                    Value::Array(items.map(Value::from).collect())
                }
                _ => Value::from(text),
            };
            self.origins.insert(path.clone(), name.to_owned());
            return;
        }
        let names: Vec<String> = known.iter().map(|path| variable_of(path)).collect();
        match nearest(name, names.iter().map(String::as_str)) {
            Some(hint) if resembles(name, hint) => self.findings.push(format!(
                "{name}: there is no such variable; did you mean {hint}?"
            )),
            _ => self.remarks.push(format!(
                "the environment variable {name} is not one of Crosspoint's"
            )),
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        let values = Value::Table(self.values.clone()).into_deserializer();
        match serde_path_to_error::deserialize::<_, Config>(values) {
            Ok(config) => {
                for finding in config.validate() {
                    self.report(finding.key, &finding.allowed);
                }
                if self.findings.is_empty() {
                    return Ok(Loaded {
                        config,
                        remarks: self.remarks,
                    });
                }
            }
            Err(error) => {
                let path = error.path().to_string();
                // The path of a list's item ends in its index: the key is what comes before.
                let key = path.split('[').next().unwrap_or_default().to_owned();
                let message = error.inner().message().trim().to_owned();
                self.report(&key, &message);
            }
        }
        Err(ConfigError(self.findings))
    }

    fn report(&mut self, key: &str, allowed: &str) {
        let origin = self.origins.get(key).map_or("default", String::as_str);
        let value = if SECRET_KEYS.contains(&key) {
            "(secret)".to_owned()
        } else {
            slot(&mut self.values.clone(), key).map_or_else(String::new, |v| v.to_string())
        };
        self.findings
            .push(format!("{origin}: {key} = {value}: {allowed}"));
    }

    fn known(&self) -> Vec<String> {
        known_keys(&self.values)
    }
}

/// Name of the environment variable for a key.
fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Paths of all keys that are not sections.
fn known_keys(values: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in values {
        match value {
            Value::Table(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys
}

fn slot<'a>(values: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        Some((section, key)) => values.get_mut(section)?.as_table_mut()?.get_mut(key),
        None => values.get_mut(path),
    }
}

/// A file's keys with their values and offsets. Two levels deep, as settings are.
fn leaves(spans: &DeTable<'_>, values: &Table) -> Vec<(String, Value, usize)> {
    let mut found = Vec::new();
    for (name, span) in spans {
        let Some(value) = values.get(name.get_ref().as_ref()) else {
            continue;
        };
        let section = match (span.get_ref(), value) {
            (DeValue::Table(inner), Value::Table(values)) => Some((inner, values)),
            _ => None,
        };
        let Some((inner, values)) = section else {
            found.push((name.get_ref().to_string(), value.clone(), offset(name)));
            continue;
        };
        for key in inner.keys() {
            if let Some(value) = values.get(key.get_ref().as_ref()) {
                let path = format!("{}.{}", name.get_ref(), key.get_ref());
                found.push((path, value.clone(), offset(key)));
            }
        }
        if inner.is_empty() && !is_section(name.get_ref()) {
            found.push((name.get_ref().to_string(), value.clone(), offset(name)));
        }
    }
    found
}

fn is_section(name: &str) -> bool {
    let defaults: Table = DEFAULTS.parse().unwrap_or_default();
    defaults.get(name).is_some_and(Value::is_table)
}

fn offset<T>(spanned: &Spanned<T>) -> usize {
    spanned.span().start
}

/// 1-based line of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
