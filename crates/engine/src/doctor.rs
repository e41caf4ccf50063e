//! Every backend, probed for real, and what is wrong with the records.

use agentkernel_backend::Result;
use agentkernel_control::{BackendReport, Doctor};
use futures_util::future::join_all;

use crate::Engine;

impl Engine {
    pub(crate) async fn examine(&self) -> Result<Doctor> {
        let probes = self.shared.descriptors.iter().map(|descriptor| async {
            let probe = (descriptor.probe)(&self.shared.settings).await;
            BackendReport::new(descriptor.name, descriptor.summary, descriptor.isolation, probe)
        });
        let backends = join_all(probes).await;
        let mut findings = self.findings();
        if !backends.iter().any(|backend| backend.usable) {
            findings.insert(0, "no backend can be used here: nothing can be run".to_owned());
        }
        Ok(Doctor { backends, findings })
    }

    /// Never an error: a broken store is a finding.
    fn findings(&self) -> Vec<String> {
        let store = match self.store() {
            Ok(store) => store,
            Err(error) => return vec![error.to_string()],
        };
        let mut findings = Vec::new();
        match store.list() {
            Ok(entries) => {
                findings.extend(
                    entries
                        .into_iter()
                        .filter_map(|entry| entry.record.err())
                        .map(|e| e.to_string()),
                );
            }
            Err(error) => findings.push(error.to_string()),
        }
        match store.debris() {
            Ok(debris) => findings.extend(
                debris
                    .iter()
                    .map(|debris| format!("{debris}: `agentkernel gc` removes it")),
            ),
            Err(error) => findings.push(error.to_string()),
        }
        findings
    }
}
