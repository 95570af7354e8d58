//! Child processes of engines: own process group, stderr kept to its last lines, killed whole, waited for always.
