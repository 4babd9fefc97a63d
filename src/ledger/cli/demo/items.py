"""What the engine of the demo saw last night; all of it is made up, addresses included (RFC 5737)."""

from typing import Final

ITEMS: Final[tuple[dict[str, object], ...]] = (
    {
        "analysis_id": "NIGHT-0417",
        "incident_id": "INC-2291",
        "threat_level": "APT",
        "source_ip": "203.0.113.77",
        "attributed_actor": "unattributed, tooling resembles a known espionage group",
        "confidence": 93.5,
        "iocs": ["203.0.113.77", "update-cdn.example", "sha256:6d1f…c09a"],
        "ttps": ["T1071.001", "T1053.005", "T1048"],
        "recommended_actions": ["Block the address", "Quarantine build-07"],
        "forensic_summary": "build-07 speaks to update-cdn.example every 61 seconds with jitter below 2 %, always "
        "POST, always 412 bytes. A scheduled task named 'EdgeHealth' was made nine minutes before the first beacon.",
        "priority": "critical",
    },
    {
        "analysis_id": "NIGHT-0418",
        "incident_id": "INC-2292",
        "threat_level": "HONEYTOKEN",
        "source_ip": "198.51.100.14",
        "attributed_actor": None,
        "confidence": 99.0,
        "iocs": ["198.51.100.14", "svc-backup-old"],
        "ttps": ["T1078", "T1110.003"],
        "recommended_actions": ["Block the address", "Rotate backup credentials"],
        "forensic_summary": "The decoy account svc-backup-old was used for the first time in 14 months: an LDAP bind "
        "from the guest network, followed by 31 more accounts tried with one password each.",
        "priority": "critical",
    },
    {
        "analysis_id": "NIGHT-0419",
        "incident_id": "INC-2293",
        "threat_level": "TARGETED",
        "source_ip": "192.0.2.201",
        "attributed_actor": None,
        "confidence": 58.0,
        "iocs": ["192.0.2.201", "invoice_2209.iso"],
        "ttps": ["T1566.001", "T1553.005"],
        "recommended_actions": ["Quarantine fin-laptop-22"],
        "forensic_summary": "A disk image arrived by mail at accounting and was mounted. Nothing was started from it "
        "that we can see, but the endpoint sensor was silent for four minutes around that time.",
        "priority": "high",
    },
    {
        "analysis_id": "NIGHT-0420",
        "incident_id": None,
        "threat_level": "OPPORTUNISTIC",
        "source_ip": "198.51.100.99",
        "attributed_actor": None,
        "confidence": 34.0,
        "iocs": ["198.51.100.99"],
        "ttps": ["T1595.002"],
        "recommended_actions": ["Block the address"],
        "forensic_summary": "2,140 requests for /wp-login.php in six minutes. There is no such application here. "
        "The address belongs to a scanner that publishes its purpose and its ranges.",
        "priority": "low",
    },
    {
        "analysis_id": "NIGHT-0421",
        "incident_id": "INC-2294",
        "threat_level": "TARGETED",
        "source_ip": "203.0.113.12",
        "attributed_actor": None,
        "confidence": 81.0,
        "iocs": ["203.0.113.12", "rclone", "bucket:q3-archive"],
        "ttps": ["T1567.002"],
        "recommended_actions": ["Block the address", "Ask the owner"],
        "forensic_summary": "fileserver-2 sends 18 GiB to a storage bucket nobody has used before, at 03:12, with a "
        "tool that is not on the list of approved software. The process runs as an administrator on leave.",
        "priority": "high",
    },
    {
        "analysis_id": "NIGHT-0422",
        "incident_id": None,
        "threat_level": "UNKNOWN",
        "source_ip": "192.0.2.8",
        "attributed_actor": None,
        "confidence": 47.5,
        "iocs": ["192.0.2.8", "psexesvc.exe"],
        "ttps": ["T1569.002"],
        "recommended_actions": ["Look at the change calendar"],
        "forensic_summary": "psexesvc.exe appeared on eleven servers within two minutes. The maintenance window of "
        "the platform team began at the same minute; the jump host is theirs.",
        "priority": "medium",
    },
)
