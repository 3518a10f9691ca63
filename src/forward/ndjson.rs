//! The sink of files with one JSON object a line.

use crate::store::ndjson::{NdjsonError, NdjsonFiles};

use super::lane::{Delivery, DeliveryError, LaneBatch};

impl Delivery for NdjsonFiles {
    fn deliver(&mut self, batch: &LaneBatch) -> Result<(), DeliveryError> {
        self.append(batch.first, &batch.lines)
            .map_err(not_delivered)
    }

    fn idle(&mut self) -> Result<(), DeliveryError> {
        self.rotate_if_due().map_err(not_delivered)
    }

    fn finish(&mut self) -> Result<(), DeliveryError> {
        self.rotate().map_err(not_delivered)
    }
}

fn not_delivered(error: NdjsonError) -> DeliveryError {
    DeliveryError(Box::new(error))
}
