//! Judges the dependency tree: nothing that builds or links C, only licences we may ship, only crates.io.
//!
//! The tree is what `cargo metadata` resolves for the whole workspace with all features, for every platform and every kind
//! of dependency. Sources are judged by the package's own record, so a mirror in cargo's configuration changes nothing.
//! `deny.toml` says the same to `cargo deny`; a test compares the two.

use serde_json::Value;

use crate::gates::cargo;

/// Crates that build or link C, or exist to do so.
pub const BANNED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "bindgen",
    "cc",
    "cmake",
    "libz-sys",
    "lz4-sys",
    "openssl",
    "openssl-sys",
    "pkg-config",
    "rdkafka",
    "rdkafka-sys",
    "ring",
    "snappy-sys",
    "vcpkg",
    "zstd-sys",
];

/// Crates whose manifest says `links` although they build nothing, each with the reason.
pub const HARMLESS_LINKS: &[(&str, &str)] =
    &[("wasm-bindgen-shared", "claims a name so that no two versions meet; only on wasm, links no library")];

/// Licences we may ship beside MIT OR Apache-2.0.
pub const LICENSES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const CRATES_IO: &[&str] =
    &["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

/// A package as far as it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SPDX expression of its licence.
    pub license: Option<String>,
    /// The native library it says it links.
    pub links: Option<String>,
    /// Where it comes from; `None` is a path.
    pub source: Option<String>,
    /// Whether it is a member of this workspace.
    pub member: bool,
}

/// Judges the workspace's tree; the error lists every offence.
///
/// # Errors
/// When `cargo metadata` fails or a package offends.
pub fn check() -> Result<(), String> {
    let output = cargo(&["metadata", "--format-version", "1", "--all-features", "--locked"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = packages(&metadata);
    if packages.is_empty() {
        return Err("cargo metadata lists no packages".to_owned());
    }
    let offences: Vec<String> = packages.iter().flat_map(offences).collect();
    if offences.is_empty() {
        println!("{} packages, none builds C, all licences and sources allowed", packages.len());
        return Ok(());
    }
    Err(offences.join("\n"))
}

/// The packages in the output of `cargo metadata`.
#[must_use]
pub fn packages(metadata: &Value) -> Vec<Package> {
    let array = |name: &str| metadata[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let members = array("workspace_members");
    array("packages")
        .iter()
        .map(|package| {
            let text = |name: &str| package[name].as_str().map(str::to_owned);
            Package {
                name: text("name").unwrap_or_default(),
                version: text("version").unwrap_or_default(),
                license: text("license"),
                links: text("links"),
                source: text("source"),
                member: members.contains(&package["id"]),
            }
        })
        .collect()
}

/// What is wrong with `package`, one line per offence.
#[must_use]
pub fn offences(package: &Package) -> Vec<String> {
    let Package { name, version, .. } = package;
    let mut found = Vec::new();
    if BANNED.contains(&name.as_str()) {
        found.push(format!("{name} {version} is banned: it builds or links C"));
    }
    if let Some(links) = &package.links
        && !HARMLESS_LINKS.iter().any(|(harmless, _)| harmless == name)
    {
        found.push(format!("{name} {version} links the native library `{links}`"));
    }
    match &package.license {
        Some(license) if is_allowed(license) => {}
        Some(license) => found.push(format!("{name} {version} has a licence that is not allowed: {license}")),
        None => found.push(format!("{name} {version} names no licence")),
    }
    match &package.source {
        Some(source) if CRATES_IO.contains(&source.as_str()) => {}
        None if package.member => {}
        None => found.push(format!("{name} {version} is a path outside of the workspace")),
        Some(source) => found.push(format!("{name} {version} comes from {source}, not from crates.io")),
    }
    found
}

/// Whether an SPDX expression can be met with allowed licences alone; the old `/` means OR.
#[must_use]
pub fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = both(words)?;
    while let [word, rest @ ..] = words
        && *word == "OR"
    {
        *words = rest;
        allowed |= both(words)?;
    }
    Some(allowed)
}

fn both(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(words)?;
    while let [word, rest @ ..] = words
        && *word == "AND"
    {
        *words = rest;
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = either(words)?;
            let [")", rest @ ..] = words else { return None };
            *words = rest;
            Some(allowed)
        }
        [license, "WITH", exception, rest @ ..] => {
            *words = rest;
            Some(LICENSES.contains(&format!("{license} WITH {exception}").as_str()))
        }
        [license, rest @ ..] => {
            *words = rest;
            Some(LICENSES.contains(license))
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::repo;

    fn good() -> Package {
        Package {
            name: "bytes".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT".to_owned()),
            links: None,
            source: Some(CRATES_IO[0].to_owned()),
            member: false,
        }
    }

    #[test]
    fn a_plain_crate_from_crates_io_is_fine() {
        assert_eq!(offences(&good()), Vec::<String>::new());
    }

    #[test]
    fn a_banned_crate_is_an_offence_whatever_else_it_says() {
        for name in ["cc", "ring", "zstd-sys", "openssl", "aws-lc-rs"] {
            let package = Package { name: name.to_owned(), ..good() };
            assert_eq!(offences(&package), [format!("{name} 1.0.0 is banned: it builds or links C")]);
        }
    }

    #[test]
    fn a_native_library_is_an_offence_unless_known_to_be_none() {
        let links = |name: &str| Package { name: name.to_owned(), links: Some("z".to_owned()), ..good() };
        assert_eq!(offences(&links("new-sys")), ["new-sys 1.0.0 links the native library `z`"]);
        assert_eq!(offences(&links("wasm-bindgen-shared")), Vec::<String>::new());
    }

    #[test]
    fn only_crates_io_and_members_are_sources() {
        let from =
            |source: Option<&str>, member| Package { source: source.map(str::to_owned), member, ..good() };
        assert!(offences(&from(Some("sparse+https://index.crates.io/"), false)).is_empty());
        assert!(offences(&from(None, true)).is_empty());
        assert_eq!(offences(&from(None, false)), ["bytes 1.0.0 is a path outside of the workspace"]);
        for source in ["git+https://github.com/x/y", "registry+https://example.org/index"] {
            assert_eq!(
                offences(&from(Some(source), false)),
                [format!("bytes 1.0.0 comes from {source}, not from crates.io")]
            );
        }
    }

    #[test]
    fn a_licence_expression_is_met_by_allowed_licences_alone() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 OR (ISC AND MIT)",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT Apache-2.0",
            "MIT OR",
            "GPL-2.0 WITH LLVM-exception",
        ] {
            assert!(!is_allowed(refused), "{refused}");
        }
        let nameless = Package { license: None, ..good() };
        assert_eq!(offences(&nameless), ["bytes 1.0.0 names no licence"]);
    }

    #[test]
    fn packages_are_read_from_cargo_metadata() {
        let metadata = json!({
            "workspace_members": ["path+file:///w/a#1.0.0"],
            "packages": [
                {"id": "path+file:///w/a#1.0.0", "name": "a", "version": "1.0.0", "license": "MIT",
                 "links": null, "source": null},
                {"id": "x#cc@1.2.3", "name": "cc", "version": "1.2.3", "license": "MIT", "links": "c",
                 "source": CRATES_IO[0]},
            ],
        });
        let member = Package { name: "a".to_owned(), source: None, member: true, ..good() };
        let other = Package {
            name: "cc".to_owned(),
            version: "1.2.3".to_owned(),
            links: Some("c".to_owned()),
            ..good()
        };
        assert_eq!(packages(&metadata), [member, other]);
    }

    #[test]
    fn deny_toml_says_the_same() {
        let text = std::fs::read_to_string(repo::root().join("deny.toml")).unwrap();
        assert_eq!(quoted_list(&text, "deny"), BANNED);
        assert_eq!(quoted_list(&text, "allow"), LICENSES);
    }

    /// The first quoted word of every line of the array `name = [`.
    fn quoted_list<'a>(toml: &'a str, name: &str) -> Vec<&'a str> {
        toml.lines()
            .skip_while(|line| *line != format!("{name} = ["))
            .skip(1)
            .take_while(|line| *line != "]")
            .filter_map(|line| line.split('"').nth(1))
            .collect()
    }
}
