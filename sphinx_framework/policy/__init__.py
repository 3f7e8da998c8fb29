"""Pure decisions: quality ratio, schedule, plan, regions. No model, no accelerator."""
