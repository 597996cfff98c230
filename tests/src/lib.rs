//! Nothing: what is here is in the tests beside this folder, which see the project as its users do.
