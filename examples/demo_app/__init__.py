"""One small application, run three times by the demo: JWT Debugger, SharePoint Intranet and Timesheet SaaS."""
