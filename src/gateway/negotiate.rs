//! What the caller would like: form, language and encoding of the answer.

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE};

use super::headers::Headers;
use super::messages::Language;
use crate::query::encode::Format;

/// Entries of one header that are looked at.
const MAX_ENTRIES: usize = 32;

/// Encodings of bodies, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Zstd,
    Brotli,
    Gzip,
}

impl Encoding {
    /// The word of `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The entries of a header with their weights, heaviest first; those of weight 0 come as refused.
fn entries<'a>(headers: Headers<'a>, name: &http::HeaderName) -> Vec<(&'a str, f32)> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let mut entries: Vec<(&str, f32)> = values
        .flat_map(|value| value.split(','))
        .take(MAX_ENTRIES)
        .map(|entry| {
            let mut parts = entry.split(';');
            let word = parts.next().unwrap_or_default().trim();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
            (word, weight.unwrap_or(1.0))
        })
        .collect();
    entries.sort_by(|a, b| b.1.total_cmp(&a.1));
    entries
}

/// The language of messages.
pub fn language(headers: Headers<'_>) -> Language {
    if !headers.has(&ACCEPT_LANGUAGE) {
        return Language::default();
    }
    let found = entries(headers, &ACCEPT_LANGUAGE)
        .into_iter()
        .filter(|(_, weight)| *weight > 0.0)
        .find_map(|(tag, _)| {
            match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "zh" => Some(Language::Zh),
                "en" => Some(Language::En),
                _ => None,
            }
        });
    found.unwrap_or_default()
}

/// The form that `Accept` asks for; JSON where it asks for none that there is.
pub fn format(headers: Headers<'_>) -> Format {
    if !headers.has(&ACCEPT) {
        return Format::Json;
    }
    let found = entries(headers, &ACCEPT).into_iter().filter(|(_, weight)| *weight > 0.0).find_map(
        |(media, _)| {
            let media = media.to_ascii_lowercase();
            match media.as_str() {
                "application/json" | "application/*" | "*/*" => Some(Format::Json),
                "text/csv" | "text/*" => Some(Format::Csv),
                "application/x-ndjson" | "application/jsonl" | "application/ndjson" => {
                    Some(Format::Ndjson)
                }
                other if other == Format::Xlsx.media_type() => Some(Format::Xlsx),
                _ => None,
            }
        },
    );
    found.unwrap_or(Format::Json)
}

/// The encoding to use, if any.
pub fn encoding(headers: Headers<'_>) -> Option<Encoding> {
    if !headers.has(&ACCEPT_ENCODING) {
        return None;
    }
    let entries = entries(headers, &ACCEPT_ENCODING);
    let weight = |word: &str| {
        let exact = entries.iter().find(|(entry, _)| entry.eq_ignore_ascii_case(word));
        exact
            .or_else(|| entries.iter().find(|(entry, _)| *entry == "*"))
            .map_or(0.0, |(_, weight)| *weight)
    };
    let mut best: Option<(Encoding, f32)> = None;
    for encoding in [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip] {
        let weight = weight(encoding.as_str());
        if weight > 0.0 && best.is_none_or(|(_, most)| weight > most) {
            best = Some((encoding, weight));
        }
    }
    best.map(|(encoding, _)| encoding)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn languages_follow_their_weights() {
        for (value, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en;q=0.8, zh;q=0.9", Language::Zh),
            ("fr, en;q=0.5, zh;q=0.1", Language::En),
            ("fr", Language::En),
            ("zh;q=0", Language::En),
            (";;q=x,,", Language::En),
        ] {
            assert_eq!(
                language(Headers::of(&headers(ACCEPT_LANGUAGE, value))),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn forms_and_encodings() {
        assert_eq!(
            format(Headers::of(&headers(ACCEPT, "text/html, text/csv;q=0.9, */*;q=0.1"))),
            Format::Csv
        );
        assert_eq!(format(Headers::of(&headers(ACCEPT, "*/*"))), Format::Json);
        assert_eq!(format(Headers::of(&headers(ACCEPT, "image/png"))), Format::Json);
        assert_eq!(
            encoding(Headers::of(&headers(ACCEPT_ENCODING, "gzip, deflate, br"))),
            Some(Encoding::Brotli)
        );
        assert_eq!(
            encoding(Headers::of(&headers(ACCEPT_ENCODING, "gzip;q=1, br;q=0.1"))),
            Some(Encoding::Gzip)
        );
        assert_eq!(encoding(Headers::of(&headers(ACCEPT_ENCODING, "identity"))), None);
        assert_eq!(
            encoding(Headers::of(&headers(ACCEPT_ENCODING, "*;q=0.5, zstd;q=0"))),
            Some(Encoding::Brotli)
        );
    }
}
