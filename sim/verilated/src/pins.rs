//! Pins as fields of a struct.

/// Declares a struct of [`Pin`](crate::Pin)s, with a function `find` that looks up each in a model: the pin of a field has the
/// name of the field behind a prefix.
#[macro_export]
macro_rules! pins {
    ($vis:vis struct $pins:ident { $($name:ident),* $(,)? }) => {
        $vis struct $pins { $($vis $name: $crate::Pin),* }

        impl $pins {
            $vis fn find(model: &$crate::Model, prefix: &str) -> Result<Self, $crate::Error> {
                Ok(Self { $($name: model.pin(&format!("{prefix}{}", stringify!($name)))?),* })
            }
        }
    };
}
