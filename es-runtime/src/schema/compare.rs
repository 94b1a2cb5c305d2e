//! Finds the differences between a stored shape and the one that reads it today, and whether stored events stay
//! readable.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read::tag;
use super::shape::{Definition, Field, Limits, Object, Shape};
use super::text::line;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// Where it is, from the event's data on: `lines[].price`. Empty for the data as a whole.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The shape there as stored, and as read today.
    pub(super) before: String,
    pub(super) after: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Whatever is stored is read as before, and more can be.
    Grown,
    /// A field that stored events lack, and without which they cannot be read.
    Added,
    /// A stored field is ignored.
    Removed,
    /// A field that may be missing in stored events is needed.
    Required,
    /// A missing field is read as another value.
    Default,
    /// A stored value is refused, or read as another one.
    Changed,
    /// A variant of an enum is gone.
    VariantRemoved,
    /// The variants of an untagged enum are tried in another order.
    Reordered,
}

impl Kind {
    pub(super) fn is_breaking(&self) -> bool {
        *self != Self::Grown
    }
}

/// All differences.
pub(super) fn compare(stored: &Definition, today: &Definition) -> Vec<Difference> {
    let mut comparison = Comparison {
        stored,
        today,
        met: BTreeSet::new(),
        found: Vec::new(),
    };
    comparison.shapes("", &stored.shape, &today.shape);
    comparison.found
}

struct Comparison<'a> {
    stored: &'a Definition,
    today: &'a Definition,
    /// Pairs of types that contain themselves and are being compared: meeting one again, there is nothing new to find.
    met: BTreeSet<(String, String)>,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn shapes(&mut self, path: &str, old: &'a Shape, new: &'a Shape) {
        if matches!(old, Shape::Named(_)) || matches!(new, Shape::Named(_)) {
            if self.met.insert((line(old), line(new))) {
                let (stored, today) = (self.stored, self.today);
                self.shapes(path, stored.resolve(old), today.resolve(new));
            }
            return;
        }
        match (old, new) {
            (Shape::Any, Shape::Any) => {}
            (_, Shape::Any) => self.found(path, Kind::Grown, old, new),
            (Shape::Union(_), _) | (_, Shape::Union(_)) => self.unions(path, old, new),
            (Shape::Choice(olds), Shape::Choice(news)) => self.choices(path, olds, news),
            // An enum that became an untagged one reads it, if any of the variants does.
            (_, Shape::Choice(news)) => {
                let fits = news.iter().any(|new| self.reads(old, new));
                self.found(path, if fits { Kind::Grown } else { Kind::Changed }, old, new);
            }
            (Shape::Object(old), Shape::Object(new)) => self.objects(path, old, new),
            (Shape::List(old_item, old_limits), Shape::List(new_item, new_limits)) => {
                self.limits(path, old_limits, new_limits, old, new);
                self.shapes(&format!("{path}[]"), old_item, new_item);
            }
            (Shape::Tuple(olds), Shape::Tuple(news)) if olds.len() == news.len() => {
                for (index, (old, new)) in olds.iter().zip(news).enumerate() {
                    self.shapes(&format!("{path}[{index}]"), old, new);
                }
            }
            (Shape::Integer(old_limits), Shape::Integer(new_limits)) => {
                self.integers(path, old_limits, new_limits, old, new);
            }
            (Shape::Integer(limits), Shape::Number(format)) => {
                // The integers that a float of this size holds exactly.
                let exact: u128 = if format.get("format") == Some(&"float".into()) {
                    1 << 24
                } else {
                    1 << 53
                };
                let (least, most) = Shape::range(limits);
                let fits = least.unsigned_abs() <= exact && most <= exact;
                self.found(path, if fits { Kind::Grown } else { Kind::Changed }, old, new);
            }
            (Shape::Number(old_limits), Shape::Number(new_limits)) => {
                let wider = old_limits.get("format") == Some(&"float".into());
                match old_limits == new_limits {
                    true => {}
                    false if wider && new_limits.get("format") == Some(&"double".into()) => {
                        self.found(path, Kind::Grown, old, new);
                    }
                    false => self.limits(path, old_limits, new_limits, old, new),
                }
            }
            (Shape::Text(old_limits), Shape::Text(new_limits)) => self.limits(path, old_limits, new_limits, old, new),
            (Shape::Literal(Value::String(_)), Shape::Text(limits)) if limits.is_empty() => {
                self.found(path, Kind::Grown, old, new);
            }
            (old, new) if old == new => {}
            (old, new) => self.found(path, Kind::Changed, old, new),
        }
    }

    fn integers(&mut self, path: &str, old_limits: &Limits, new_limits: &Limits, old: &Shape, new: &Shape) {
        let ((old_least, old_most), (new_least, new_most)) = (Shape::range(old_limits), Shape::range(new_limits));
        if new_least > old_least || new_most < old_most {
            return self.found(path, Kind::Changed, old, new);
        }
        let rest = |limits: &Limits| -> Limits {
            let ranged = ["format", "minimum", "maximum"];
            let rest = limits.clone().into_iter();
            rest.filter(|(keyword, _)| !ranged.contains(&keyword.as_str()))
                .collect()
        };
        if (old_least, old_most) != (new_least, new_most) && rest(old_limits) == rest(new_limits) {
            return self.found(path, Kind::Grown, old, new);
        }
        self.limits(path, &rest(old_limits), &rest(new_limits), old, new);
    }

    /// Compares what limits a value: it may be loosened.
    fn limits(&mut self, path: &str, old_limits: &Limits, new_limits: &Limits, old: &Shape, new: &Shape) {
        if old_limits == new_limits {
            return;
        }
        let looser = new_limits.iter().all(|(keyword, new)| {
            let Some(old) = old_limits.get(keyword) else {
                return false;
            };
            let number = |limit: &Value| limit.as_f64().unwrap_or(f64::NAN);
            match keyword.as_str() {
                "minLength" | "minItems" | "minimum" => number(new) <= number(old),
                "maxLength" | "maxItems" | "maximum" => number(new) >= number(old),
                _ => old == new,
            }
        });
        self.found(path, if looser { Kind::Grown } else { Kind::Changed }, old, new);
    }

    fn objects(&mut self, path: &str, old: &'a Object, new: &'a Object) {
        for (name, stored) in &old.fields {
            let path = join(path, name);
            match new.fields.get(name) {
                Some(field) => self.fields(&path, stored, field),
                None => match &new.rest {
                    Some((None, rest)) => self.shapes(&path, &stored.shape, rest),
                    _ => self.push(&path, Kind::Removed, line(&stored.shape), "not read".to_owned()),
                },
            }
        }
        for (name, field) in new.fields.iter().filter(|(name, _)| !old.fields.contains_key(*name)) {
            let kind = if field.required { Kind::Added } else { Kind::Grown };
            self.push(&join(path, name), kind, "not stored".to_owned(), with_default(field));
        }
        self.rests(path, old, new);
    }

    fn fields(&mut self, path: &str, old: &'a Field, new: &'a Field) {
        self.shapes(path, &old.shape, &new.shape);
        match (old.required, new.required) {
            (false, true) => {
                let before = format!("{}, may be missing", with_default(old));
                self.push(path, Kind::Required, before, line(&new.shape));
            }
            (false, false) if old.default != new.default => {
                self.push(path, Kind::Default, with_default(old), with_default(new));
            }
            (true, false) => {
                let after = format!("{}, may be missing", with_default(new));
                self.push(path, Kind::Grown, line(&old.shape), after);
            }
            _ => {}
        }
    }

    fn rests(&mut self, path: &str, old: &'a Object, new: &'a Object) {
        let path = format!("{path}{{}}");
        match (&old.rest, &new.rest) {
            (None, None) => {}
            (None, Some((_, shape))) => self.push(&path, Kind::Grown, "not read".to_owned(), line(shape)),
            (Some((_, shape)), None) => self.push(&path, Kind::Removed, line(shape), "not read".to_owned()),
            (Some((old_pattern, old)), Some((new_pattern, new))) => {
                if new_pattern.is_some() && old_pattern != new_pattern {
                    self.push(
                        &path,
                        Kind::Changed,
                        format!("names {old_pattern:?}"),
                        format!("names {new_pattern:?}"),
                    );
                } else if old_pattern != new_pattern {
                    self.push(
                        &path,
                        Kind::Grown,
                        format!("names {old_pattern:?}"),
                        "any name".to_owned(),
                    );
                }
                self.shapes(&path, old, new);
            }
        }
    }

    fn unions(&mut self, path: &str, old: &'a Shape, new: &'a Shape) {
        let (olds, news) = (old.alternatives(), new.alternatives());
        let mut partners = Vec::new();
        for (index, one) in olds.iter().enumerate() {
            let same = |other: &Shape| tag(one).is_some() && tag(one) == tag(other);
            let partner = news
                .iter()
                .position(same)
                .or_else(|| news.iter().position(|other| self.reads(one, other)));
            match partner {
                Some(partner) => {
                    partners.push(partner);
                    self.shapes(&variant(path, one), one, &news[partner]);
                }
                None if olds.len() == 1 || tag(one).is_none() => {
                    // The only other one that is left is what became of it.
                    let rest = |shape: &&Shape| **shape != Shape::Null && tag(shape).is_none();
                    match news.iter().filter(rest).collect::<Vec<_>>()[..] {
                        [other] if olds.iter().filter(rest).count() == 1 => {
                            partners.push(news.iter().position(|new| new == other).unwrap_or(index));
                            self.shapes(path, one, other);
                        }
                        _ => self.found(path, Kind::Changed, one, new),
                    }
                }
                None => self.found(&variant(path, one), Kind::VariantRemoved, one, new),
            }
        }
        for (_, one) in news.iter().enumerate().filter(|(index, _)| !partners.contains(index)) {
            let path = variant(path, one);
            self.push(&path, Kind::Grown, "not stored".to_owned(), line(one));
        }
    }

    /// Compares untagged enums: the first variant that fits is read, so that new ones may only follow.
    fn choices(&mut self, path: &str, olds: &'a [Shape], news: &'a [Shape]) {
        for (index, old) in olds.iter().enumerate() {
            match news.get(index) {
                Some(new) if self.reads(old, new) => self.shapes(path, old, new),
                _ if news.iter().any(|new| self.reads(old, new)) => {
                    let (before, after) = (Shape::Choice(olds.to_vec()), Shape::Choice(news.to_vec()));
                    return self.found(path, Kind::Reordered, &before, &after);
                }
                Some(new) => self.shapes(path, old, new),
                None => self.push(path, Kind::VariantRemoved, line(old), "not read".to_owned()),
            }
        }
        for new in news.iter().skip(olds.len()) {
            self.push(path, Kind::Grown, "not stored".to_owned(), line(new));
        }
    }

    /// Returns whether everything stored as `old` can be read as `new`.
    fn reads(&self, old: &'a Shape, new: &'a Shape) -> bool {
        let mut comparison = Comparison {
            stored: self.stored,
            today: self.today,
            met: self.met.clone(),
            found: Vec::new(),
        };
        comparison.shapes("", old, new);
        !comparison.found.iter().any(|difference| difference.kind.is_breaking())
    }

    fn found(&mut self, path: &str, kind: Kind, old: &Shape, new: &Shape) {
        self.push(path, kind, line(old), line(new));
    }

    fn push(&mut self, path: &str, kind: Kind, before: String, after: String) {
        self.found.push(Difference {
            path: path.to_owned(),
            kind,
            before,
            after,
        });
    }
}

fn with_default(field: &Field) -> String {
    match &field.default {
        Some(default) => format!("{} = {default}", line(&field.shape)),
        None => line(&field.shape),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The path of a variant: `channel("Online")`.
fn variant(path: &str, shape: &Shape) -> String {
    match tag(shape) {
        Some(tag) => format!("{path}({tag})"),
        None => path.to_owned(),
    }
}
