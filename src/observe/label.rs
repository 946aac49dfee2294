//! A closed set of names: an enum whose variants have a fixed text, as labels, columns and codes need.

/// Defines an enum with `ALL`, `COUNT`, `as_str`, `parse` and `Display`. The texts are part of the contract:
/// they appear in metrics, in the audit store and in answers.
macro_rules! label_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: [Self; Self::COUNT] = [$( Self::$variant, )+];
            /// How many values there are.
            pub const COUNT: usize = [$( $text, )+].len();

            /// The fixed text.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// The value with this text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $( $text => Some(Self::$variant), )+ _ => None }
            }

            /// The position in `ALL`: an index for arrays of `COUNT`.
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use label_enum;
