//! `cargo xtask conformance`: which items of the four call systems work, and which test shows it.
//!
//! `tests/conformance/items.csv` names the items (`id,kind,name`), `tests/conformance/status.csv` says of
//! each `works` with the test that shows it, `declined` with a reason, or `open`. A test is named as
//! `<file>: <name>`; the file must hold a test of that name. A missing or doubtful row is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tools::say;

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Works,
    Declined,
    Open,
}

/// An item and how it stands.
#[derive(Debug)]
struct Row {
    id: String,
    kind: String,
    name: String,
    standing: Standing,
    /// The test, or the reason.
    why: String,
}

/// Prints the table, or only its sums, and fails when it is not whole.
pub(crate) fn run(root: &Path, all: bool) -> Result<()> {
    let (rows, problems) = read(root)?;
    if all {
        for row in &rows {
            let Row {
                id,
                kind,
                name,
                standing,
                why,
            } = row;
            say(&format!("{id}\t{kind}\t{}\t{name}\t{why}", word(*standing)));
        }
    }
    for (system, counts) in sums(&rows) {
        let count = |standing| counts.get(&standing).copied().unwrap_or(0);
        say(&format!(
            "{system}: {} work, {} declined, {} open",
            count(Standing::Works),
            count(Standing::Declined),
            count(Standing::Open),
        ));
    }
    for problem in &problems {
        say(problem);
    }
    if !problems.is_empty() {
        bail!("{} problems", problems.len());
    }
    Ok(())
}

/// How many items of each system, and of all, stand how.
fn sums(rows: &[Row]) -> BTreeMap<&str, BTreeMap<Standing, usize>> {
    let mut sums: BTreeMap<&str, BTreeMap<Standing, usize>> = BTreeMap::new();
    for row in rows {
        let system = row.id.split('-').next().unwrap_or_default();
        for key in [system, "all"] {
            *sums
                .entry(key)
                .or_default()
                .entry(row.standing)
                .or_default() += 1;
        }
    }
    sums
}

fn read(root: &Path) -> Result<(Vec<Row>, Vec<String>)> {
    let folder = root.join("tests/conformance");
    let mut problems = Vec::new();
    let mut status: BTreeMap<String, (String, String)> = BTreeMap::new();
    for fields in table(&folder.join("status.csv"))? {
        let [id, standing, why] = fields.as_slice() else {
            problems.push(format!("status.csv: not three fields: {fields:?}"));
            continue;
        };
        if status
            .insert(id.clone(), (standing.clone(), why.clone()))
            .is_some()
        {
            problems.push(format!("{id} has two rows"));
        }
    }
    let mut rows = Vec::new();
    for fields in table(&folder.join("items.csv"))? {
        let [id, kind, name] = fields.as_slice() else {
            problems.push(format!("items.csv: not three fields: {fields:?}"));
            continue;
        };
        let Some((standing, why)) = status.remove(id) else {
            problems.push(format!("{id} ({name}) has no row in status.csv"));
            continue;
        };
        let standing = match standing.as_str() {
            "works" => Standing::Works,
            "declined" => Standing::Declined,
            "open" => Standing::Open,
            other => {
                problems.push(format!(
                    "{id}: \"{other}\" is none of works, declined, open"
                ));
                continue;
            }
        };
        rows.push(Row {
            id: id.clone(),
            kind: kind.clone(),
            name: name.clone(),
            standing,
            why,
        });
    }
    problems.extend(status.keys().map(|id| format!("{id} is no item")));
    problems.extend(unfounded(root, &rows));
    Ok((rows, problems))
}

/// Claims without a test, and refusals without a reason.
fn unfounded(root: &Path, rows: &[Row]) -> Vec<String> {
    let mut files: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    let mut problems = Vec::new();
    for row in rows {
        match row.standing {
            Standing::Open => {}
            Standing::Declined if row.why.is_empty() => {
                problems.push(format!("{} is declined without a reason", row.id));
            }
            Standing::Declined => {}
            Standing::Works => {
                let Some((file, test)) = row.why.split_once(": ") else {
                    problems.push(format!("{} names no test as <file>: <name>", row.id));
                    continue;
                };
                let tests = files.entry(file.to_owned()).or_insert_with(|| {
                    Some(tests_of(&std::fs::read_to_string(root.join(file)).ok()?))
                });
                if !tests.as_ref().is_some_and(|tests| tests.contains(test)) {
                    problems.push(format!("{}: {file} has no test \"{test}\"", row.id));
                }
            }
        }
    }
    problems
}

/// Names of the tests in a file of Rust or JavaScript.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some(rest) = function(line) {
            names.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        }
        for open in ["test(\"", "it(\""] {
            let name = line
                .strip_prefix(open)
                .and_then(|rest| rest.split('"').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// What follows `fn ` in a line that begins a function.
fn function(line: &str) -> Option<&str> {
    line.strip_prefix("fn ")
        .or_else(|| line.strip_prefix("async fn "))
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Works => "works",
        Standing::Declined => "declined",
        Standing::Open => "open",
    }
}

/// Records of a CSV file (RFC 4180) without its heading.
fn table(path: &Path) -> Result<Vec<Vec<String>>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(fields)
        .collect())
}

/// Fields of one line; a field in quotes may hold commas and doubled quotes, but no line ends.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(each) = chars.next() {
        let field = fields.last_mut().expect("there is always one");
        match each {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            each => field.push(each),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_hold_commas_and_quotes() {
        assert_eq!(
            fields(r#"A-1,method,"f(a, ""b"")""#),
            ["A-1", "method", r#"f(a, "b")"#]
        );
        assert_eq!(fields("A-1,,"), ["A-1", "", ""]);
    }

    #[test]
    fn tests_are_found_in_rust_and_javascript() {
        let rust =
            "#[test]\nfn one_thing() {}\nfn helper() {}\n#[tokio::test]\nasync fn another() {}";
        assert_eq!(
            tests_of(rust),
            ["another", "one_thing"].map(str::to_owned).into()
        );
        let script = "test(\"a call\", async () => {});\n  it(\"b\", () => {});\n  audit(\"c\");";
        assert_eq!(tests_of(script), ["a call", "b"].map(str::to_owned).into());
    }

    #[test]
    fn the_table_is_whole_and_every_claim_has_its_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (rows, problems) = read(&root).unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(rows.len(), 413);
    }
}
