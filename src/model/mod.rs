//! Floor 0: the words of the design as types. No I/O except resolving a secret, no policy, nothing that knows a room above.

pub mod artifact;
pub mod backup_id;
pub mod blocks;
pub mod clock;
pub mod exchange;
pub mod manifest;
pub mod name;
pub mod pipe;
pub mod position;
pub mod progress;
pub mod run;
pub mod secret;
pub mod size;
pub mod stamp;
pub mod step;
pub mod timespan;

pub use artifact::{Artifact, ArtifactSpec, FileName, Measured};
pub use backup_id::{BackupId, BackupRef};
pub use blocks::Blocks;
pub use clock::{Clock, FixedClock, SystemClock};
pub use exchange::{ArtifactSink, ArtifactSource};
pub use manifest::Manifest;
pub use name::Name;
pub use pipe::{Inlet, Outlet, pipe};
pub use progress::Progress;
pub use run::{BackupType, Method, Outcome, RunId, RunKind};
pub use secret::{Secret, SecretRef};
pub use size::Size;
pub use step::Step;
pub use timespan::Timespan;
