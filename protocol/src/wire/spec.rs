//! In which versions a field exists, may be null, is tagged: the bracket of a field table, as a constant.

use std::fmt;

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

    /// Whether the field stands in line, at its place among the others, in `version`.
    pub(crate) const fn in_line(&self, version: i16) -> bool {
        self.tag.is_none() && self.versions.contains(version)
    }

    /// Whether the field is tagged and exists in `version`.
    pub(crate) const fn tagged(&self, version: i16) -> bool {
        self.tag.is_some() && self.versions.contains(version)
    }

    /// Whether a value is an error in the versions without the field. (There may be none.)
    pub(crate) const fn is_strict(&self) -> bool {
        !self.ignorable && (self.versions.min > 0 || self.versions.max < i16::MAX)
    }

    /// Whether the field is the one with this tag in `version`.
    pub(crate) const fn has_tag(&self, tag: u32, version: i16) -> bool {
        match self.tag {
            Some(own) => own == tag && self.versions.contains(version),
            None => false,
        }
    }
}

/// A row of a field table, as far as reading and writing a field need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) spec: FieldSpec,
}
