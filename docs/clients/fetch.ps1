# fetch.ps1 DATASOURCE RECORDINGID VOICELOCATION FILE
# Needs PowerShell 7. The extension of FILE chooses the format.
param(
    [Parameter(Mandatory)][string]$DataSource,
    [Parameter(Mandatory)][string]$RecordingId,
    [Parameter(Mandatory)][string]$VoiceLocation,
    [Parameter(Mandatory)][string]$File
)
$ErrorActionPreference = 'Stop'
$password = ConvertTo-SecureString $env:CALLREEL_PASSWORD -AsPlainText -Force
$login = [pscredential]::new($env:CALLREEL_USER, $password)
$extension = [IO.Path]::GetExtension($File)
$query = @(
    'cmd=getvmsg'
    "datasource=$([uri]::EscapeDataString($DataSource))"
    "recordingid=$([uri]::EscapeDataString($RecordingId))"
    "voicelocation=$([uri]::EscapeDataString($VoiceLocation))"
) -join '&'
$question = "$env:CALLREEL_URL/voice${extension}?$query"
# Over plain http PowerShell sends a login only where it is told that this is meant.
$plain = $question.StartsWith('http:')
$address = Invoke-RestMethod -Uri $question -Credential $login -AllowUnencryptedAuthentication:$plain
Invoke-WebRequest -Uri $address -OutFile "$File.part"
Move-Item -Force "$File.part" $File
