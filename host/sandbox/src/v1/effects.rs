//! `effects`: intents and jobs, kept by the broker.

use super::wit::effects::Host;
use crate::answer;
use crate::instance::CallData;

impl Host for CallData {
    async fn intend(&mut self, kind: String, data: Vec<u8>) -> wasmtime::Result<Result<String, String>> {
        self.budget.host_call()?;
        self.budget.intent()?;
        match answer::record(data) {
            Ok(data) => Ok(self.host.intend(&kind, data).await),
            Err(unsound) => Ok(Err(unsound.to_string())),
        }
    }

    fn resolve(&mut self, id: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        self.host.resolve(&id);
        Ok(())
    }

    fn schedule(
        &mut self,
        job: String,
        key: String,
        payload: Vec<u8>,
        at: u64,
    ) -> wasmtime::Result<Result<(), String>> {
        self.budget.host_call()?;
        match answer::record(payload) {
            Ok(payload) => Ok(self.host.schedule(&job, &key, payload, at)),
            Err(unsound) => Ok(Err(unsound.to_string())),
        }
    }

    fn cancel(&mut self, job: String, key: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        self.host.cancel(&job, &key);
        Ok(())
    }
}
