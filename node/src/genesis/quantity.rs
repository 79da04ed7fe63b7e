//! Resources as Kubernetes writes them, and as the other targets do.

use std::fmt;

/// Processor time, in thousandths of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(u32);

impl Cpu {
    /// The most that a node is given: 1024 cores.
    const MILLICORES_MAX: u32 = 1_024_000;

    /// That many cores.
    pub const fn cores(cores: u32) -> Self {
        Self(cores * 1_000)
    }

    /// Parses cores (`2`, `0.5`) or thousandths (`500m`).
    ///
    /// # Errors
    /// Another form, finer than a thousandth, or outside 0.01 to 1024 cores.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected 0.01 to 1024 cores, for example \"2\", \"0.5\" or \"500m\"".to_owned();
        let millicores = match text.strip_suffix('m') {
            Some(thousandths) => digits(thousandths),
            None => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
                let thousandths =
                    if (1..=3).contains(&fraction.len()) { digits(&format!("{fraction:0<3}")) } else { None };
                digits(whole).and_then(|cores| cores.checked_mul(1_000)?.checked_add(thousandths?))
            }
        };
        millicores.filter(|millicores| (10..=Self::MILLICORES_MAX).contains(millicores)).map(Self).ok_or_else(expected)
    }
}

/// In cores, as Docker and Kubernetes both take it: `2`, `0.5`.
impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cores, thousandths) = (self.0 / 1_000, self.0 % 1_000);
        match thousandths {
            0 => write!(f, "{cores}"),
            _ => f.write_str(format!("{cores}.{thousandths:03}").trim_end_matches('0')),
        }
    }
}

/// Room in memory or on a disk, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mebibytes(pub u32);

impl Mebibytes {
    /// Parses `512Mi`, `2Gi` or `1Ti`.
    ///
    /// # Errors
    /// Another form or unit, or more than 4095 TiB.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected a whole number of Mi, Gi or Ti, for example \"512Mi\" or \"2Gi\"".to_owned();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?);
        let mebibytes = match unit {
            "Mi" => 1,
            "Gi" => 1_024,
            "Ti" => 1_024 * 1_024,
            _ => return Err(expected()),
        };
        digits(number).and_then(|number| number.checked_mul(mebibytes)).map(Self).ok_or_else(expected)
    }

    /// As Docker takes it: `512m`, `2g`.
    pub fn docker(self) -> String {
        self.with_units("m", "g")
    }

    fn with_units(self, mebi: &str, gibi: &str) -> String {
        match self.0 % 1_024 {
            0 => format!("{}{gibi}", self.0 / 1_024),
            _ => format!("{}{mebi}", self.0),
        }
    }
}

/// As Kubernetes takes it: `512Mi`, `2Gi`.
impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_units("Mi", "Gi"))
    }
}

/// A number of digits only: no sign, no space.
fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores() {
        for (text, shown) in [("1", "1"), ("0.5", "0.5"), ("500m", "0.5"), ("2.25", "2.25"), ("10m", "0.01")] {
            assert_eq!(Cpu::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for bad in ["", "0", "m", "+1", "-1", "1.", ".5", "0.0001", "1 ", "two", "1025", "4294968m", "9m"] {
            let parsed = Cpu::parse(bad);
            assert!(parsed.is_err(), "{bad}: {parsed:?}");
        }
    }

    #[test]
    fn mebibytes() {
        for (text, docker, kubernetes) in
            [("512Mi", "512m", "512Mi"), ("2Gi", "2g", "2Gi"), ("2048Mi", "2g", "2Gi"), ("1Ti", "1024g", "1024Gi")]
        {
            let parsed = Mebibytes::parse(text).unwrap();
            assert_eq!((parsed.docker().as_str(), parsed.to_string().as_str()), (docker, kubernetes), "{text}");
        }
        for bad in ["", "2", "2G", "2GB", "Gi", "+2Gi", "1.5Gi", "4096Ti", "2gi"] {
            assert!(Mebibytes::parse(bad).is_err(), "{bad}");
        }
    }
}
