"""The words everybody uses: records, configs, the lease contract. Imports no other room."""
