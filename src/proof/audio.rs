//! Commitments to recordings.

use super::{ProveError, ProveOptions, ProvingKey};
use crate::audio::wav::Wav;
use crate::gkr::pcs::Blinds;
use crate::gkr::program::SHARED_WIDTH_VARS;
use crate::statement::{AudioCommitment, AudioSecret, Mode};
use crate::sumcheck::int::{IntTable, IntVec};

impl ProvingKey {
    /// Commits to a recording. The commitment hides it: two commitments to one recording have nothing in common.
    pub fn commit_audio(&self, wav: &Wav) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        self.check_recording(wav)?;
        let blinds = Blinds::random(wav.samples.len().div_ceil(1 << SHARED_WIDTH_VARS))?;
        Ok(self.commit_audio_with(wav, blinds))
    }

    fn commit_audio_with(&self, wav: &Wav, blinds: Blinds) -> (AudioCommitment, AudioSecret) {
        let table = IntTable::new(wav.samples.len(), 1, IntVec::I16(wav.samples.clone()));
        let audio = AudioCommitment {
            sample_rate: wav.sample_rate,
            num_samples: wav.samples.len() as u32,
            rows: self.commit_input(&table, &blinds),
        };
        let secret = AudioSecret { audio: audio.id().digest, blinds };
        (audio, secret)
    }

    /// The commitment that a proof is about: the one that is asked for, or a new one.
    pub(super) fn audio_of(
        &self,
        wav: &Wav,
        options: &ProveOptions<'_>,
    ) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        let Some((wanted, secret)) = options.audio else {
            return match options.mode {
                Mode::Zk => self.commit_audio(wav),
                Mode::Clear => Ok(self.commit_audio_with(wav, Blinds::none())),
            };
        };
        self.reopen_audio(wav, wanted, secret)
    }

    /// Commits to a recording as it was done before.
    pub(crate) fn reopen_audio(
        &self,
        wav: &Wav,
        wanted: &AudioCommitment,
        secret: &AudioSecret,
    ) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        let other = || ProveError::Mismatch("the recording is not the one that was committed to".into());
        if wanted.num_samples as usize != wav.samples.len() || secret.blinds.factors().len() != wanted.rows.len() {
            return Err(other());
        }
        let again = self.commit_audio_with(wav, secret.blinds.clone());
        if (&again.0, &again.1) == (wanted, secret) { Ok(again) } else { Err(other()) }
    }
}
