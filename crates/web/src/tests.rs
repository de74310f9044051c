//! Every reference of a page or module leads to a file, and nothing in them needs a laxer policy.

use std::collections::BTreeSet;

use super::{asset, paths};

fn text(path: &str) -> String {
    let asset = asset(path).unwrap_or_else(|| panic!("{path} does not exist"));
    String::from_utf8(asset.bytes.into_owned()).unwrap()
}

fn texts(extension: &str) -> impl Iterator<Item = (String, String)> {
    paths()
        .filter(move |path| {
            path.ends_with(extension) || (extension == ".html" && !path[1..].contains(['/', '.']))
        })
        .map(|path| {
            let text = text(&path);
            (path, text)
        })
}

/// What stands between `open` and the next `close`, at each place.
fn quoted<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| rest.split(close).next())
}

/// A relative reference in the file at `base` as a path from the root.
fn resolve(base: &str, reference: &str) -> String {
    let (folder, _) = base.rsplit_once('/').unwrap();
    let mut parts: Vec<&str> = folder.split('/').skip(1).collect();
    for part in reference.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[test]
fn every_reference_of_the_pages_leads_to_a_file() {
    let mut count = 0;
    for (page, html) in texts(".html") {
        for attribute in ["src=\"", "href=\""] {
            for reference in quoted(&html, attribute, '"').filter(|r| !r.starts_with('#')) {
                let path = resolve(&page, reference);
                assert!(asset(&path).is_some(), "{page} refers to {path}");
                count += 1;
            }
        }
    }
    assert!(count >= 3, "only {count} references were found");
}

#[test]
fn every_import_of_the_modules_leads_to_a_file() {
    let mut count = 0;
    for (module, script) in texts(".js") {
        for open in ["from \"", "import \"", "import(\""] {
            for reference in quoted(&script, open, '"').filter(|r| r.starts_with('.')) {
                let path = resolve(&module, reference);
                assert!(asset(&path).is_some(), "{module} imports {path}");
                count += 1;
            }
        }
    }
    assert!(count >= 20, "only {count} imports were found");
}

#[test]
fn every_url_of_the_styles_leads_to_a_file() {
    for (sheet, css) in texts(".css") {
        for reference in quoted(&css, "url(\"", '"') {
            let path = resolve(&sheet, reference);
            assert!(asset(&path).is_some(), "{sheet} refers to {path}");
        }
    }
}

#[test]
fn pages_have_no_inline_script_or_style() {
    for (page, html) in texts(".html") {
        let handlers = [
            "onclick=",
            "onload=",
            "onerror=",
            "onsubmit=",
            "javascript:",
        ];
        for forbidden in handlers.iter().chain(&["<style", " style=\""]) {
            assert!(!html.contains(forbidden), "{page} contains {forbidden}");
        }
        for script in quoted(&html, "<script", '>') {
            assert!(script.contains(" src="), "{page} has an inline script");
        }
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let allowed = [
        "http://www.w3.org/2000/svg",
        // The name of an RTP header extension.
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        "http://localhost\"",
        "https://host",
        "https:// or ",
    ];
    for extension in [".html", ".css", ".js"] {
        for (path, text) in texts(extension) {
            for scheme in ["http://", "https://"] {
                for (at, _) in text.match_indices(scheme) {
                    let url = &text[at..];
                    let known = allowed.iter().any(|a| url.starts_with(a));
                    // A bare scheme in quotes or in a regular expression is no address.
                    let bare = !url[scheme.len()..].starts_with(|c: char| c.is_alphanumeric());
                    assert!(known || bare, "{path}: {:.40}", url);
                }
            }
        }
    }
}

#[test]
fn root_is_the_page_meet_and_pages_have_one_path_each() {
    assert!(asset("/console").is_some());
    assert!(asset("/desk").is_some());
    assert!(asset("/pages/console.html").is_none());
    let meet = asset("/").unwrap();
    assert_eq!(meet.mime, "text/html; charset=utf-8");
    assert!(asset("/pages/meet.html").is_none());
}

#[test]
fn media_types_are_those_that_browsers_demand() {
    // Modules with another type are refused by browsers (HTML, "fetch a single module script").
    let module = asset("/sdk/crosspoint.js").unwrap();
    assert_eq!(module.mime, "text/javascript; charset=utf-8");
    assert_eq!(asset("/pages/icon.svg").unwrap().mime, "image/svg+xml");
}

#[test]
fn entity_tags_are_quoted_and_differ_between_files() {
    let tags: BTreeSet<_> = paths().map(|path| asset(&path).unwrap().etag).collect();
    assert_eq!(tags.len(), paths().count());
    assert!(
        tags.iter()
            .all(|tag| tag.len() == 18 && tag.starts_with('"') && tag.ends_with('"'))
    );
}

#[test]
fn paths_outside_of_the_tree_are_not_found() {
    for path in [
        "/../Cargo.toml",
        "/sdk/../src/lib.rs",
        "/pages/../sdk/room.js",
        "/sdk/",
        "/x",
        "//",
    ] {
        assert!(asset(path).is_none(), "{path}");
    }
}

#[test]
fn every_address_of_the_import_map_leads_to_a_module() {
    let map = text("/sdk/importmap.json");
    let addresses: Vec<_> = quoted(&map, "\"/sdk/", '"').collect();
    for address in &addresses {
        let path = format!("/sdk/{address}");
        assert!(
            asset(&path).is_some_and(|it| it.mime.contains("javascript")),
            "{path}"
        );
    }
    assert!(addresses.len() >= 16, "only {} addresses", addresses.len());
}
