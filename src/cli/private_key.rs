//! Keys that hide the weights of a model: which one a command is to use, and where its secret is.

use std::path::{Path, PathBuf};

use clap::Args;
use voxcheck::Model;
use voxcheck::proof::{KeySecret, ProvingKey, VerifyingKey};

use super::common::{load_keys_if, load_model};
use super::console::Console;
use super::error::{CliError, Result};
use super::files;

/// Which key, if it is not the model's public one.
#[derive(Args, Debug)]
pub struct PrivateKeyArg {
    /// Private key of the model (.vxk, from `setup --private`), for whom the weights are secret
    #[arg(long, short, value_name = "K.vxk")]
    key: Option<PathBuf>,
    /// Its secret [default: K.vxk.secret]
    #[arg(long, value_name = "FILE", requires = "key")]
    key_secret: Option<PathBuf>,
}

/// The proving key of a model under the key that is asked for, unless `check` refuses the model first.
pub fn load(
    console: &mut Console,
    model: &Path,
    private: &PrivateKeyArg,
    check: impl FnOnce(&Model) -> Result<()>,
) -> Result<ProvingKey> {
    let Some(path) = &private.key else {
        return load_keys_if(console, model, check).map(|(pk, _, _)| pk);
    };
    let (key, _) = console.stage("load", |_| {
        let model = load_model(model)?;
        check(&model)?;
        let key = files::decode(path, VerifyingKey::from_bytes)?;
        if !key.hides_weights() {
            let message = format!("{} is a public key: it hides nothing", path.display());
            return Err(CliError::usage(
                message,
                "leave --key out, or make a private one with: voxcheck setup --private",
            ));
        }
        let secret = private.key_secret.clone().unwrap_or_else(|| files::secret_beside(path));
        let secret = files::decode(&secret, KeySecret::from_bytes)?;
        ProvingKey::private(&model, &key, &secret).map_err(|error| CliError::prove(path, &error))
    });
    key
}
