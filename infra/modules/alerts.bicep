// Mails when something needs a person. docs/operations.md has an answer to each.
param location string
param tags object
param token string
param workspaceId string
param mail string

// What the app says, and what the workers of container computes say: each line is an object.
var lines = 'union isfuzzy=true (AppTraces | project TimeGenerated, said = parse_json(Message)), (ContainerAppConsoleLogs | project TimeGenerated, said = parse_json(Log))'

var alerts = [
  {
    name: 'poison'
    title: 'A message was given up'
    query: '${lines} | where tostring(said.event) == "message_poisoned"'
    window: 'PT5M'
    severity: 1
    threshold: 0
  }
  {
    name: 'failed-runs'
    title: 'Runs fail'
    query: '${lines} | where tostring(said.event) == "run_ended" and tostring(said.status) == "Failed"'
    window: 'PT15M'
    severity: 3
    threshold: 4
  }
  {
    name: 'queue-age'
    title: 'Steps wait for more than 10 minutes'
    query: '${lines} | where tostring(said.event) == "queue_looked_at" and todouble(said.age_seconds) > 600'
    window: 'PT15M'
    severity: 2
    threshold: 2
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'millstream'
    enabled: true
    emailReceivers: [
      {
        name: 'mail'
        emailAddress: mail
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'alert-${alert.name}-${token}'
  location: location
  tags: tags
  properties: {
    displayName: alert.title
    enabled: true
    severity: alert.severity
    evaluationFrequency: 'PT5M'
    windowSize: alert.window
    autoMitigate: true
    scopes: [
      workspaceId
    ]
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: alert.threshold
        }
      ]
    }
    actions: {
      actionGroups: [
        people.id
      ]
    }
  }
}]
