//! Enumerations whose every value has a number on the wire and a text id.

/// Declares an enumeration with `ALL`, `from_code`, `code`, `id` and `Display`.
macro_rules! coded {
    (
        $(#[$outer:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $code:literal $id:literal,)+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All values, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value with a code; none for a code that is not assigned.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The text id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)+
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.id())
            }
        }
    };
}

pub(crate) use coded;
