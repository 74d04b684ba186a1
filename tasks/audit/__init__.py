"""The parts of an audit: who looks at pictures, its statistics, tables and figures."""
