"""What the frozen backbone says of a photograph, extracted once."""
