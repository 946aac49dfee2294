//! The headers of a request, most of which nobody sends.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request. A look-up in the map hashes the name; that it is not there, its length tells mostly.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    pub map: &'a HeaderMap,
    /// A bit for each length of a name that is there.
    lengths: u64,
}

impl<'a> Headers<'a> {
    /// Headers with the lengths of their names.
    pub fn of(map: &'a HeaderMap) -> Self {
        Self { map, lengths: map.keys().fold(0, |lengths, name| lengths | bit(name)) }
    }

    /// Whether there is such a header.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.lengths & bit(name) != 0 && self.map.contains_key(name)
    }

    /// The first of that name.
    pub fn get(&self, name: &HeaderName) -> Option<&'a HeaderValue> {
        if self.lengths & bit(name) == 0 { None } else { self.map.get(name) }
    }

    /// All of that name, in the order in which they came.
    pub fn get_all(
        &self,
        name: &HeaderName,
    ) -> impl DoubleEndedIterator<Item = &'a HeaderValue> + use<'a> {
        let there = (self.lengths & bit(name) != 0).then(|| self.map.get_all(name).iter());
        there.into_iter().flatten()
    }
}

fn bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_map_has_is_found_whatever_its_length() {
        let long = "x-".to_owned() + &"a".repeat(64 + 10);
        let names =
            ["x-a", "x-bb", "accept", &long].map(|name| HeaderName::try_from(name).unwrap());
        let mut map = HeaderMap::new();
        for name in &names {
            map.append(name, HeaderValue::from_static("1"));
            map.append(name, HeaderValue::from_static("2"));
        }
        let headers = Headers::of(&map);
        for name in &names {
            assert!(headers.has(name), "{name}");
            assert_eq!(headers.get(name).unwrap(), "1", "{name}");
            assert_eq!(headers.get_all(name).collect::<Vec<_>>(), ["1", "2"], "{name}");
        }
        // Of a length that is there, and of one that is not.
        for name in ["x-b", "x-ccccc"].map(HeaderName::from_static) {
            assert!(!headers.has(&name) && headers.get(&name).is_none(), "{name}");
            assert_eq!(headers.get_all(&name).count(), 0, "{name}");
        }
    }
}
