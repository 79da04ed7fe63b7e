//! Methods that wait for something to happen, and occupy no thread meanwhile.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::lane::Lane;
use crate::registry::Names;
use jsonrpsee::types::Params;
use std::sync::Arc;
use std::time::SystemTime;

/// One call of such a method.
pub(crate) struct Waiting {
    pub(crate) backend: Arc<Backend>,
    pub(crate) received: SystemTime,
    params: Params<'static>,
    names: Names,
    lane: Lane,
}

impl Waiting {
    /// The call that came at `received`, whose reads run in `lane`.
    pub(crate) fn new(
        (params, names): (Params<'static>, Names),
        backend: Arc<Backend>,
        received: SystemTime,
        lane: Lane,
    ) -> Self {
        Self { backend, received, params, names, lane }
    }

    /// The call's arguments.
    pub(crate) fn arguments(&self) -> Result<Arguments<'_>, MethodError> {
        Arguments::parse(&self.params, self.names)
    }

    /// Does something that may block, when it is its turn.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Backend) -> Result<T, MethodError> + Send + 'static,
    ) -> Result<T, MethodError> {
        let permit = self.lane.enter(self.params.len_bytes()).await?;
        let backend = Arc::clone(&self.backend);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&backend)
        });
        task.await.map_err(|panic| MethodError::Internal(panic.to_string()))?
    }
}
