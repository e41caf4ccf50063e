//! `agentkernel config`.

use crate::{
    args::{ConfigArgs, ConfigCommand, ConfigShowArgs},
    failure::Outcome,
    render, settings,
};

pub fn config(args: ConfigArgs) -> Outcome {
    match args.command {
        ConfigCommand::Show(args) => show(&args),
        ConfigCommand::Schema => {
            render::text(&format!("{:#}", agentkernel_config::json_schema()))?;
            Ok(0)
        }
    }
}

fn show(args: &ConfigShowArgs) -> Outcome {
    let resolved = settings::show(args.config.as_deref())?;
    let rows = agentkernel_config::rows(&resolved);
    match args.json {
        true => render::json(&render::settings_json(&rows))?,
        false => render::text(&render::settings(&rows, args.origin))?,
    }
    Ok(0)
}
