//! Chat images: kept in memory per room, reached by HTTP with a bearer token that a welcome gave.
//! An image is told by its first bytes and never decoded here.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use pulse_proto::{ErrorCode, control::ImageRef, limits::MAX_IMAGE, v1::image_mime};

use crate::{
    budget::Budget,
    limits::{IMAGES_BURST, IMAGES_PER_SECOND, MAX_ROOM_IMAGES},
    random,
};

/// An image that somebody uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredImage {
    pub(crate) reference: String,
    pub(crate) mime: &'static str,
    pub(crate) bytes: Bytes,
}

impl StoredImage {
    /// What a chat message says of it.
    pub(crate) fn describe(&self) -> ImageRef {
        ImageRef {
            reference: self.reference.clone(),
            mime: self.mime.to_owned(),
            bytes: self.bytes.len() as u64,
        }
    }
}

/// The images of one room, the oldest dropped beyond 16 MiB. They end with the room.
#[derive(Debug, Default)]
pub(crate) struct RoomImages {
    images: Mutex<VecDeque<StoredImage>>,
}

impl RoomImages {
    /// Keeps an image.
    ///
    /// # Errors
    /// [`ErrorCode::ImageTooLarge`], [`ErrorCode::NotAnImage`].
    pub(crate) fn store(&self, bytes: Bytes) -> Result<StoredImage, ErrorCode> {
        if bytes.len() > MAX_IMAGE {
            return Err(ErrorCode::ImageTooLarge);
        }
        let mime = image_mime(&bytes).ok_or(ErrorCode::NotAnImage)?;
        let image = StoredImage {
            reference: random::token(),
            mime,
            bytes,
        };
        self.push(image.clone());
        Ok(image)
    }

    /// Keeps an image that somebody uploaded at another edge, under the name that it has there.
    pub(crate) fn keep(&self, reference: String, bytes: Bytes) {
        let Some(mime) = image_mime(&bytes).filter(|_| bytes.len() <= MAX_IMAGE) else {
            return;
        };
        self.push(StoredImage {
            reference,
            mime,
            bytes,
        });
    }

    fn push(&self, image: StoredImage) {
        let mut images = lock(&self.images);
        images.push_back(image);
        let mut held: usize = images.iter().map(|image| image.bytes.len()).sum();
        while held > MAX_ROOM_IMAGES {
            let Some(oldest) = images.pop_front() else {
                break;
            };
            held -= oldest.bytes.len();
        }
    }

    /// The image of a reference.
    pub(crate) fn get(&self, reference: &str) -> Option<StoredImage> {
        lock(&self.images)
            .iter()
            .find(|image| image.reference == reference)
            .cloned()
    }
}

/// Who may upload where: a token for each v2 connection, gone with it.
#[derive(Default)]
pub(crate) struct ImageGrants {
    grants: Mutex<HashMap<String, Grant>>,
}

struct Grant {
    room: Arc<RoomImages>,
    uploads: Budget,
}

impl ImageGrants {
    /// Lets the bearer of a token into a room's images.
    pub(crate) fn grant(&self, now: Instant, token: String, room: Arc<RoomImages>) {
        let uploads = Budget::new(now, IMAGES_BURST, IMAGES_PER_SECOND);
        lock(&self.grants).insert(token, Grant { room, uploads });
    }

    /// The token is of no use any more.
    pub(crate) fn revoke(&self, token: &str) {
        lock(&self.grants).remove(token);
    }

    /// The images a token opens.
    ///
    /// # Errors
    /// [`ErrorCode::BadToken`].
    pub(crate) fn open(&self, token: &str) -> Result<Arc<RoomImages>, ErrorCode> {
        let grants = lock(&self.grants);
        grants
            .get(token)
            .map(|grant| grant.room.clone())
            .ok_or(ErrorCode::BadToken)
    }

    /// As [`ImageGrants::open`], for an upload.
    ///
    /// # Errors
    /// [`ErrorCode::BadToken`], [`ErrorCode::RateLimited`].
    pub(crate) fn open_for_upload(
        &self,
        now: Instant,
        token: &str,
    ) -> Result<Arc<RoomImages>, ErrorCode> {
        let mut grants = lock(&self.grants);
        let grant = grants.get_mut(token).ok_or(ErrorCode::BadToken)?;
        if !grant.uploads.take(now, 1.0) {
            return Err(ErrorCode::RateLimited);
        }
        Ok(grant.room.clone())
    }
}

impl fmt::Debug for ImageGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageGrants({})", lock(&self.grants).len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both maps are consistent between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(bytes: usize) -> Bytes {
        let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
        image.resize(bytes, 0);
        image.into()
    }

    #[test]
    fn a_room_keeps_the_newest_16_mib() {
        let room = RoomImages::default();
        let first = room.store(png(MAX_IMAGE)).unwrap();
        assert_eq!(room.get(&first.reference), Some(first.clone()));
        for _ in 0..16 {
            room.store(png(MAX_IMAGE)).unwrap();
        }
        assert_eq!(room.get(&first.reference), None);
        assert_eq!(
            room.store(png(MAX_IMAGE + 1)),
            Err(ErrorCode::ImageTooLarge)
        );
        assert_eq!(
            room.store(Bytes::from_static(b"<svg/>")),
            Err(ErrorCode::NotAnImage)
        );
    }

    #[test]
    fn a_token_opens_one_room_until_it_is_revoked() {
        let now = tokio::time::Instant::now().into_std();
        let grants = ImageGrants::default();
        grants.grant(now, "t".to_owned(), Arc::default());
        assert!(grants.open("t").is_ok());
        let uploads = (0..10)
            .filter(|_| grants.open_for_upload(now, "t").is_ok())
            .count();
        assert_eq!(uploads as f64, IMAGES_BURST);
        grants.revoke("t");
        assert_eq!(grants.open("t").unwrap_err(), ErrorCode::BadToken);
    }
}
