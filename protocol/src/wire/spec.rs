//! In which versions a field exists, may be null, is tagged: the bracket of a field table, as a constant.

use core::fmt;

use super::error::Place;

/// An inclusive range of versions; empty when `min > max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The first version.
    pub min: i16,
    /// The last version; [`i16::MAX`] says "and all later ones".
    pub max: i16,
}

impl VersionRange {
    /// Every version.
    pub const ALL: VersionRange = VersionRange { min: 0, max: i16::MAX };
    /// No version.
    pub const NONE: VersionRange = VersionRange { min: 0, max: -1 };

    /// The range from `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Self {
        VersionRange { min, max }
    }

    /// Whether `version` lies in the range.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version lies in the range.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// The versions that lie in both ranges.
    pub const fn intersect(self, other: VersionRange) -> VersionRange {
        VersionRange {
            min: if self.min > other.min { self.min } else { other.min },
            max: if self.max < other.max { self.max } else { other.max },
        }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_empty(), self.max) {
            (true, _) => f.write_str("none"),
            (false, i16::MAX) => write!(f, "{}+", self.min),
            (false, max) if max == self.min => write!(f, "{max}"),
            (false, max) => write!(f, "{}-{max}", self.min),
        }
    }
}

/// What a field table says of a field beside its type and default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The versions that have the field.
    pub versions: VersionRange,
    /// For an `Option`: the versions in which it may be null.
    pub nullable: VersionRange,
    /// Whether a value may be left out silently in a version without the field.
    pub ignorable: bool,
    /// The tag, for a tagged field (KIP-482).
    pub tag: Option<u32>,
}

impl FieldSpec {
    pub(crate) const PLAIN: FieldSpec =
        FieldSpec { versions: VersionRange::ALL, nullable: VersionRange::ALL, ignorable: false, tag: None };

    pub(crate) const fn versions(mut self, min: i16, max: i16) -> Self {
        self.versions = VersionRange::new(min, max);
        self
    }

    pub(crate) const fn nullable(mut self, min: i16, max: i16) -> Self {
        self.nullable = VersionRange::new(min, max);
        self
    }

    pub(crate) const fn ignorable(mut self) -> Self {
        self.ignorable = true;
        self
    }

    pub(crate) const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }
}

/// A row of a field table, as far as reading and writing a field need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) spec: FieldSpec,
    /// The versions in which the field stands in line, at its place among the others: none for a tagged field.
    pub(super) in_line: VersionRange,
}

impl Row {
    pub(super) const START: Row = Row::plain("frame", "start");
    pub(super) const END: Row = Row::plain("frame", "end");

    pub(crate) const fn new(message: &'static str, field: &'static str, spec: FieldSpec) -> Row {
        let in_line = if spec.tag.is_some() { VersionRange::NONE } else { spec.versions };
        Row { place: Place { message, field }, spec, in_line }
    }

    /// A field that every version has and that stands in no table.
    pub(crate) const fn plain(message: &'static str, field: &'static str) -> Row {
        Row::new(message, field, FieldSpec::PLAIN)
    }

    /// Whether a version can take any value of the field: it has the field, or may drop it silently.
    #[inline]
    pub(crate) const fn holds_or_ignores(&self, version: i16) -> bool {
        self.spec.ignorable || self.spec.versions.contains(version)
    }
}
