"""Where work runs on Ray. The only importer of ray; it receives what it runs from workflows."""
