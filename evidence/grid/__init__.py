"""Evidence on places and electricity: regions, facilities, hosts and carbon intensities, with sources."""
