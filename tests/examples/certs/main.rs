//! Certificates for development, written into certs/: a CA, and what a server and a client of it need.

use std::path::Path;

use throughway_testing::cluster::certificates::Authority;

fn main() -> std::io::Result<()> {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/certs"));
    for (file, name) in [
        ("ca", "throughway-development"),
        ("front-proxy-ca", "front-proxy-development"),
    ] {
        let authority = Authority::new(name);
        std::fs::write(dir.join(format!("{file}.crt")), &authority.pem)?;
        for (leaf, name) in [("server", "localhost"), ("client", "front-proxy-client")] {
            let (certificate, key) = authority.issue_pem(name);
            std::fs::write(dir.join(format!("{file}-{leaf}.crt")), certificate)?;
            std::fs::write(dir.join(format!("{file}-{leaf}.key")), key)?;
        }
    }
    println!("written to {}", dir.display());
    Ok(())
}
