//! What users meet: printed text, JSON and exit codes of the program itself.

mod layers;
mod real_client;
