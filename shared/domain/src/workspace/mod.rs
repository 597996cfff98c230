//! Workspace files: reading, checking, compiling to a catalog and its documents.
