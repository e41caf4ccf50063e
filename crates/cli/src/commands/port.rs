//! `agentkernel port`: ports of this machine that lead into a sandbox.

use serde_json::json;

use super::Connect;
use crate::{
    args::{PortArgs, PortCommand},
    failure::Outcome,
    render,
};

pub async fn port(args: PortArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    let networks = control.networks();
    match args.command {
        PortCommand::Publish(args) => {
            let info = networks.publish(&args.name, args.port).await?;
            match args.json {
                true => render::json(&info)?,
                false => render::text(&render::port(&info))?,
            }
        }
        PortCommand::List(args) => {
            let ports = networks.ports(&args.name).await?;
            match args.json {
                true => render::json(&json!({ "ports": ports }))?,
                false => render::text(&render::ports(&ports))?,
            }
        }
        PortCommand::Unpublish(args) => {
            let (host, protocol) = args.port;
            networks.unpublish(&args.name, host, protocol).await?;
        }
    }
    Ok(0)
}
